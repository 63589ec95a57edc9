import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type BuildRequest, buildAci } from '../../../src/image/build.ts';
import { mount, unmount, unshareMounts } from '../../../src/os/syscalls.ts';

const manifest = {
  acKind: 'ImageManifest',
  acVersion: '0.8.11',
  name: 'example.com/built',
  labels: [
    { name: 'version', value: '1.0' },
    { name: 'os', value: 'linux' },
    { name: 'arch', value: 'amd64' },
  ],
};

let scratch = '';
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'build-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A root file system with everything that is easily lost. */
function makeRootfs(path: string): void {
  mkdirSync(join(path, 'bin'), { recursive: true });
  writeFileSync(join(path, 'bin/tool'), '#!/bin/sh\n');
  writeFileSync(join(path, '.hidden'), 'x');
  symlinkSync('./tool', join(path, 'bin/link'));
  run('ln', join(path, 'bin/tool'), join(path, 'bin/hard'));
  run('mknod', join(path, 'null'), 'c', '1', '3');
  run('chmod', '4755', join(path, 'bin/tool'));
  run('chown', '-h', '1234:4321', join(path, '.hidden'));
  run('setfattr', '-n', 'user.note', '-v', 'kept', join(path, '.hidden'));
  run('setfacl', '-m', 'u:0:rw,u:77:r', join(path, '.hidden'));
  for (const name of ['bin', '.hidden', 'bin/tool', 'bin/link', 'null', '.'])
    run('touch', '-h', '-d', '2020-02-02T02:02:02.123456789Z', join(path, name));
}

function layout(name = 'layout'): string {
  const folder = join(scratch, name);
  makeRootfs(join(folder, 'rootfs'));
  writeFileSync(join(folder, 'manifest'), JSON.stringify(manifest));
  return folder;
}

function build(request: Partial<BuildRequest> & { folder: string }) {
  const output = join(scratch, 'out.aci');
  return buildAci({ output, compression: 'gzip', overwrite: false, ...request });
}

const sha512 = (path: string) => createHash('sha512').update(readFileSync(path)).digest('hex');

describe('the archive', () => {
  test('holds the manifest first and then rootfs, sorted', async () => {
    await build({ folder: layout() });
    expect(run('tar', '-tf', join(scratch, 'out.aci')).trim().split('\n')).toEqual([
      'manifest',
      'rootfs/',
      'rootfs/.hidden',
      'rootfs/bin/',
      'rootfs/bin/hard',
      'rootfs/bin/link',
      'rootfs/bin/tool',
      'rootfs/null',
    ]);
  });

  test('unpacks to the same tree', async () => {
    const folder = layout();
    await build({ folder });
    const back = join(scratch, 'back');
    mkdirSync(back);
    run(
      ...(['tar', '-C', back, '--xattrs', '--xattrs-include=*', '-p'] as const),
      ...['--numeric-owner', '--same-owner', '-xf', join(scratch, 'out.aci')],
    );
    const look = (root: string) => {
      const list = ['-printf', '%P %y %m %U:%G %T@ %n %l\n'];
      const found = run('find', join(root, 'rootfs'), ...list);
      const hidden = join(root, 'rootfs/.hidden');
      const access = run('getfacl', '-np', hidden).replace(/^# file.*\n/, '');
      const attributes = run('getfattr', '-d', '--absolute-names', hidden).replace(
        /^# file.*\n/,
        '',
      );
      return [...found.split('\n').sort(), access, attributes];
    };
    expect(look(back)).toEqual(look(folder));
  });

  test('names who an ACL is for by number, whoever has that number here', async () => {
    const folder = layout();
    run('setfacl', '-m', 'u:1:r,g:1:r', join(folder, 'rootfs/bin'));
    await build({ folder, compression: 'none' });
    const bytes = readFileSync(join(scratch, 'out.aci'));
    expect(bytes.includes('SCHILY.xattr.system.posix_acl_access=\x02')).toBe(true);
    expect(bytes.includes('daemon')).toBe(false);
  });

  test('names its own key', async () => {
    const { key, size } = await build({ folder: layout(), compression: 'none' });
    const out = join(scratch, 'out.aci');
    expect(key).toBe(`sha512-${sha512(out).slice(0, 64)}`);
    expect(size).toBe(readFileSync(out).length);
  });

  test.each(['none', 'gzip', 'xz', 'zstd'] as const)(
    'compressed with %s has the same key',
    async (compression) => {
      const folder = layout();
      const plain = await build({ folder, compression: 'none' });
      const output = join(scratch, `${compression}.aci`);
      const { key } = await build({ folder, output, compression });
      expect(key).toBe(plain.key);
      const program = { none: 'cat', gzip: 'gzip', xz: 'xz', zstd: 'zstd' }[compression];
      const args = compression === 'none' ? [output] : ['-dc', output];
      const bytes = execFileSync(program, args);
      expect(createHash('sha512').update(bytes).digest('hex').slice(0, 64)).toBe(key.slice(7));
    },
  );

  test('is the same, byte for byte, made again from a copy at another time', async () => {
    const first = layout();
    run('cp', '-a', first, join(scratch, 'copy'));
    utimesSync(join(scratch, 'copy/manifest'), 1, 1);
    await build({ folder: first });
    await build({ folder: join(scratch, 'copy'), output: join(scratch, 'again.aci') });
    expect(sha512(join(scratch, 'again.aci'))).toBe(sha512(join(scratch, 'out.aci')));
  });

  test('is made of a folder behind a link as well', async () => {
    const whole = await build({ folder: layout() });
    symlinkSync('layout', join(scratch, 'link'));
    const linked = { folder: join(scratch, 'link'), output: join(scratch, 'linked.aci') };
    expect((await build(linked)).key).toBe(whole.key);
  });

  test('is the same with the manifest beside a plain root file system', async () => {
    const folder = layout();
    const whole = await build({ folder });
    const apart = await build({
      folder: join(folder, 'rootfs'),
      manifest: join(folder, 'manifest'),
      output: join(scratch, 'apart.aci'),
    });
    expect(apart.key).toBe(whole.key);
    expect(apart.manifest.name).toBe('example.com/built');
  });
});

describe('a build is refused', () => {
  test('over a file that exists, which stays', async () => {
    writeFileSync(join(scratch, 'out.aci'), 'mine');
    await expect(build({ folder: layout() })).rejects.toMatchObject({ code: 'exists' });
    expect(readFileSync(join(scratch, 'out.aci'), 'utf8')).toBe('mine');
  });

  test('unless told to overwrite', async () => {
    writeFileSync(join(scratch, 'out.aci'), 'mine');
    await build({ folder: layout(), overwrite: true, compression: 'none' });
    expect(run('tar', '-tf', join(scratch, 'out.aci'))).toContain('manifest');
  });

  test('with a manifest that is wrong, naming the file and the field', async () => {
    const folder = layout();
    writeFileSync(join(folder, 'manifest'), JSON.stringify({ ...manifest, name: 'NOT OK' }));
    await expect(build({ folder })).rejects.toMatchObject({
      code: 'bad-manifest',
      message: expect.stringMatching(/layout\/manifest: .*name/),
    });
  });

  test('with a third entry in the layout', async () => {
    const folder = layout();
    writeFileSync(join(folder, 'more'), '');
    await expect(build({ folder })).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringContaining('"more"'),
    });
  });

  test('without a manifest, naming the option', async () => {
    const folder = layout();
    await expect(build({ folder: join(folder, 'rootfs') })).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringContaining('--manifest'),
    });
  });

  test('with rootfs a link to elsewhere', async () => {
    const folder = join(scratch, 'linked');
    mkdirSync(folder);
    symlinkSync('/etc', join(folder, 'rootfs'));
    writeFileSync(join(folder, 'manifest'), JSON.stringify(manifest));
    await expect(build({ folder })).rejects.toMatchObject({ code: 'bad-image' });
  });

  test('from a folder that is not there', async () => {
    await expect(build({ folder: join(scratch, 'none') })).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/build from .*none: no such file/),
    });
  });

  test('with an output that does not end in .aci', async () => {
    const output = join(scratch, 'out.tar');
    await expect(build({ folder: layout(), output })).rejects.toMatchObject({
      code: 'bad-reference',
    });
  });

  test('with an output inside the folder', async () => {
    const folder = layout();
    const output = join(folder, 'rootfs/out.aci');
    await expect(build({ folder, output })).rejects.toMatchObject({ code: 'bad-reference' });
  });

  test('into a folder that is not there', async () => {
    const output = join(scratch, 'nowhere/out.aci');
    await expect(build({ folder: layout(), output })).rejects.toMatchObject({ code: 'io' });
  });
});

describe('a failed build leaves nothing', () => {
  test('when the disk is full', async () => {
    const folder = layout();
    const small = join(scratch, 'small');
    mkdirSync(small);
    writeFileSync(join(folder, 'rootfs/large'), Buffer.alloc(4 << 20, 1));
    unshareMounts();
    mount('none', small, 'tmpfs', 0, 'size=1m');
    try {
      const output = join(small, 'out.aci');
      const error = await build({ folder, output, compression: 'none' }).catch(String);
      expect(error).toMatch(/cannot write .*out.aci: no space left/);
      expect(readdirSync(small)).toEqual([]);
    } finally {
      unmount(small);
    }
  });

  test('when the compressor is missing', async () => {
    const folder = layout();
    const only = join(scratch, 'path');
    mkdirSync(only);
    symlinkSync('/usr/bin/tar', join(only, 'tar'));
    const before = process.env['PATH'];
    process.env['PATH'] = only;
    try {
      await expect(build({ folder, compression: 'xz' })).rejects.toMatchObject({
        code: 'missing-program',
        message: expect.stringContaining('"xz"'),
      });
    } finally {
      process.env['PATH'] = before;
    }
    expect(readdirSync(scratch).sort()).toEqual(['layout', 'path']);
    expect(existsSync(join(scratch, 'out.aci'))).toBe(false);
  });
});
