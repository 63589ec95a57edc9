import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX, packImage } from './image.ts';

const box = new Box();
const global = ['--insecure-options=image'];

/** Every file and folder of the store and the pods, but for their times. */
function content(): string {
  return execFileSync('find', [box.local.dir, '-printf', '%P %y %l\n']).toString();
}

/** Runs an image file that is bad in some way, and what must hold of each such run. */
async function refused(path: string): Promise<string> {
  const before = content();
  const { code, stdout, stderr } = await box.runPod([path], { global });
  expect(code).toBe(254);
  expect(stdout).toBe('');
  const lines = stderr.split('\n').filter((line) => line && !line.includes('unverified'));
  expect(lines).toEqual([expect.stringMatching(/^rkt: run: /)]);
  expect(lines[0]).toContain(path);
  // Folders of the pods' states come with the first pod.
  expect(
    content()
      .split('\n')
      .filter((line) => !/^(pods|locks)\b/.test(line)),
  ).toEqual(before.split('\n').filter((line) => !/^(pods|locks)\b/.test(line)));
  expect(['embryo', 'prepare', 'prepared', 'run'].flatMap((group) => box.group(group))).toEqual([]);
  return lines[0] ?? '';
}

function aci(bytes: string | Uint8Array): string {
  const path = join(box.folder(), 'bad.aci');
  writeFileSync(path, bytes);
  return path;
}

/** A good image as bytes. */
const good = () => readFileSync(packImage(box.local.scratch, { name: 'example.org/other' }));

/** An image whose root has been made by a function, packed with more flags of tar. */
function packed(make: (root: string) => void, flags: readonly string[] = [], manifest?: unknown) {
  const folder = box.folder();
  mkdirSync(join(folder, 'rootfs'));
  make(join(folder, 'rootfs'));
  const fine = {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name: 'example.org/other',
    labels: [
      { name: 'os', value: 'linux' },
      { name: 'arch', value: 'amd64' },
    ],
    app: { exec: ['/bin/x'], user: '0', group: '0' },
  };
  writeFileSync(join(folder, 'manifest'), JSON.stringify(manifest ?? fine));
  const path = join(folder, 'image.aci');
  execFileSync('tar', ['-cPf', path, '-C', folder, ...flags, 'manifest', 'rootfs']);
  return path;
}

describe('an image file is refused in one line that names it, and leaves nothing behind', () => {
  test('that is empty', async () => {
    await refused(aci(''));
  });

  test('that is a web page', async () => {
    await refused(aci('<!DOCTYPE html><html><body>Not found</body></html>\n'));
  });

  test('that ends in the middle', async () => {
    const bytes = good();
    await refused(aci(bytes.subarray(0, bytes.length / 2)));
  });

  test('that ends in the middle of its compression', async () => {
    const bytes = gzipSync(good());
    await refused(aci(bytes.subarray(0, bytes.length / 2)));
  });

  test('with a flipped bit', async () => {
    const bytes = gzipSync(good());
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await refused(aci(bytes));
  });

  test('with a wrong field in its manifest, which is named', async () => {
    const manifest = {
      acKind: 'ImageManifest',
      acVersion: '0.8.11',
      name: 'example.org/other',
      app: { exec: '/bin/x', user: '0', group: '0' },
    };
    expect(await refused(packed(() => {}, [], manifest))).toContain('app.exec');
  });

  test('with an entry outside the root', async () => {
    const path = packed(
      (root) => writeFileSync(join(root, 'file'), ''),
      ['--transform=s,rootfs/file,rootfs/../../../rkt-escaped,'],
    );
    await refused(path);
    expect(existsSync('/rkt-escaped')).toBe(false);
  });

  test('with a symlink in the path of a later entry', async () => {
    const outside = box.folder();
    const folder = box.folder();
    mkdirSync(join(folder, 'a/rootfs'), { recursive: true });
    mkdirSync(join(folder, 'b/rootfs/link'), { recursive: true });
    symlinkSync(outside, join(folder, 'a/rootfs/link'));
    writeFileSync(join(folder, 'b/rootfs/link/file'), '');
    const path = packed(() => {});
    execFileSync('tar', ['-rPf', path, '-C', join(folder, 'a'), 'rootfs/link']);
    execFileSync('tar', ['-rPf', path, '-C', join(folder, 'b'), 'rootfs/link/file']);
    await refused(path);
    expect(readdirSync(outside)).toEqual([]);
  });

  test('with a hard link that points out', async () => {
    const path = packed(
      (root) => {
        writeFileSync(join(root, 'a'), '');
        execFileSync('ln', [join(root, 'a'), join(root, 'b')]);
      },
      ['--transform=flags=h;s,.*,../../../../etc/passwd,'],
    );
    await refused(path);
  });

  test('without a manifest', async () => {
    const path = packed(() => {});
    execFileSync('tar', ['--delete', '-f', path, 'manifest']);
    await refused(path);
  });
});

test('a name of 4,096 bytes is refused or kept, and nothing is written outside', async () => {
  const name = Array.from({ length: 17 }, () => 'n'.repeat(240)).join('/');
  const path = packed(
    (root) => writeFileSync(join(root, 'file'), ''),
    [`--transform=s,rootfs/file,rootfs/${name},`],
  );
  await refused(path);
});

test('a sparse file of 10 GB takes no 10 GB', async () => {
  const path = packed(
    (root) => {
      writeFileSync(join(root, 'big'), '');
      truncateSync(join(root, 'big'), 10 * 2 ** 30);
    },
    ['--sparse', '--format=gnu'],
  );
  const { code, stderr } = await box.runPod([path], { global });
  const used = Number(execFileSync('du', ['-sm', box.local.dir]).toString().split('\t')[0]);
  expect(used).toBeLessThan(200);
  // Whether it is refused or its program is missing, it is said in a line.
  expect([203, 254]).toContain(code);
  expect(stderr).toMatch(/^rkt: /);
});

describe('a store that cannot be written', () => {
  /** Runs rkt on a data folder that is a file system of its own. */
  const on = async (options: string, before?: (dir: string) => void) => {
    const dir = box.folder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir]);
    before?.(dir);
    const path = packImage(box.local.scratch, { name: 'example.org/other' });
    const args = [`--dir=${dir}`, ...global, 'image', 'import', path];
    return { dir, path, result: await box.local.rkt(args) };
  };

  test('since the disk is full is told of in a line, and keeps nothing half done', async () => {
    const { dir, result } = await on('size=1m');
    expect(result.code).toBe(254);
    expect(result.stderr.split('\n').filter((line) => /ENOSPC|no space/i.test(line))).toHaveLength(
      1,
    );
    const left = execFileSync('find', [join(dir, 'cas'), '-type', 'f']).toString();
    expect(left).toBe('');
    execFileSync('umount', [dir]);
  });

  test('since it is read-only is told of in a line', async () => {
    const { dir, result } = await on('size=10m', (folder) =>
      execFileSync('mount', ['-o', 'remount,ro', folder]),
    );
    expect(result.code).toBe(254);
    expect(result.stderr).toMatch(/^rkt: image import: .*(EROFS|read-only).*$/im);
    expect(result.stdout).toBe('');
    execFileSync('umount', [dir]);
  });
});

test('a pod on a full disk is refused in a line, and nothing of it is left', async () => {
  const dir = box.folder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=7m', 'tmpfs', dir]);
  const path = packImage(box.local.scratch, { name: 'example.org/other' });
  const rkt = (...args: string[]) => box.local.rkt([`--dir=${dir}`, ...global, ...args]);
  expect((await rkt('image', 'import', path)).code).toBe(0);
  const fill = 'dd if=/dev/zero of="$1/fill" bs=4k 2>/dev/null; true';
  execFileSync('sh', ['-c', fill, 'sh', dir]);
  const { code, stderr } = await rkt(
    'run',
    '--net=none',
    '--no-overlay',
    'example.org/other',
    '--',
    'true',
  );
  expect(code).toBe(254);
  expect(stderr).toMatch(/no space|ENOSPC/i);
  const pods = join(dir, 'pods');
  const groups = existsSync(pods) ? readdirSync(pods) : [];
  expect(groups.flatMap((group) => readdirSync(join(pods, group)))).toEqual([]);
  execFileSync('umount', [dir]);
});

test('the good image still runs', async () => {
  expect((await box.runPod([BOX, '--', 'echo fine'])).stdout).toBe('fine\n');
});
