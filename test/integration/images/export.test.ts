import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Box } from '../pods/box.ts';

const box = new Box(
  {},
  {
    name: 'example.org/data',
    files: {
      '/etc/kept': 'kept',
      '/etc/changed': 'before',
      '/etc/deleted': 'deleted',
      '/dir/deep/file': 'file',
      '/owned': { text: '', mode: 0o4750, uid: 7, gid: 8 },
    },
  },
);

/** Runs a script in a pod of the image to its end; gives the pod's UUID. */
async function exited(script: string, pod: readonly string[] = []): Promise<string> {
  // By key: images that are exported here have the name as well.
  const image = box.keys.get('example.org/data') ?? '';
  const ended = await box.run(script, { image, pod });
  expect(ended.code).toBe(0);
  return ended.pod.uuid;
}

function output(): string {
  return join(box.folder(), 'out.aci');
}

/** The members of an ACI below rootfs, sorted, and its manifest. */
function read(aci: string) {
  const folder = box.folder();
  execFileSync('tar', ['-xpf', aci, '-C', folder]);
  const members = execFileSync('tar', ['-tf', aci], { encoding: 'utf8' })
    .split('\n')
    .map((name) => name.replace(/^rootfs\/|\/$/g, ''))
    .filter((name) => name !== '' && name !== 'manifest' && name !== 'rootfs');
  return {
    members,
    root: join(folder, 'rootfs'),
    manifest: JSON.parse(readFileSync(join(folder, 'manifest'), 'utf8')),
  };
}

const script =
  'echo -n after >/etc/changed; echo -n new >/etc/new; rm /etc/deleted; chmod 4711 /owned';

describe.each([[[]], [['--no-overlay']]])('export of a pod %s', (pod) => {
  test('has the files as the app left them, and the manifest of its image', async () => {
    const aci = output();
    await box.ok(['export', await exited(script, pod), aci]);
    const { root, manifest, members } = read(aci);
    const text = (name: string) => readFileSync(join(root, name), 'utf8');
    expect([text('etc/kept'), text('etc/changed'), text('etc/new')]).toEqual([
      'kept',
      'after',
      'new',
    ]);
    expect(members).not.toContain('etc/deleted');
    expect(lstatSync(join(root, 'owned'))).toMatchObject({ uid: 7, gid: 8, mode: 0o104711 });
    expect(manifest).toMatchObject({ name: 'example.org/data', dependencies: [] });
    expect(readFileSync(aci).subarray(0, 2).toString('hex')).toBe('1f8b');
  });
});

test('what was exported runs as an image', async () => {
  const aci = output();
  await box.ok(['export', await exited(script), aci]);
  const flags = { global: ['--insecure-options=image'], image: aci };
  const again = await box.run('cat /etc/changed /etc/new; test ! -e /etc/deleted', flags);
  expect(again).toMatchObject({ code: 0, stdout: 'afternew' });
});

describe('export --diff', () => {
  test('has the changes alone, and depends on the image', async () => {
    const aci = output();
    await box.ok(['export', '--diff', await exited('echo -n new >/dir/new'), aci]);
    const { manifest, members } = read(aci);
    expect(members).toContain('dir/new');
    expect(members).not.toContain('etc/kept');
    expect(members).not.toContain('bin/busybox');
    expect(manifest.dependencies).toMatchObject([
      { imageName: 'example.org/data', imageID: box.keys.get('example.org/data') },
    ]);
    expect(manifest.pathWhitelist).toEqual([]);
  });

  test('gives back what the pod left, deletions included', async () => {
    const aci = output();
    const change =
      'rm -r /dir/deep /etc/deleted; mkdir /dir/deep; echo -n 1 >/dir/deep/other; ln -s kept /etc/link';
    await box.ok(['export', '--diff', await exited(change), aci]);
    const flags = { global: ['--insecure-options=image'], image: aci };
    const look = 'ls /dir/deep; cat /etc/link; test ! -e /etc/deleted';
    expect(await box.run(look, flags)).toMatchObject({ code: 0, stdout: 'other\nkept' });
  });

  test('needs an overlay', async () => {
    const uuid = await exited('true', ['--no-overlay']);
    const { code, stderr } = await box.local.rkt(['export', '--diff', uuid, output()]);
    expect(code).toBe(254);
    expect(stderr).toContain('export it without --diff');
  });
});

describe('export refuses', () => {
  test('another name than .aci, and a file that is there', async () => {
    const uuid = await exited('true');
    const other = await box.local.rkt(['export', uuid, join(box.folder(), 'out.tar')]);
    expect(other.stderr).toContain('must end in .aci');
    const aci = output();
    await box.ok(['export', uuid, aci]);
    expect((await box.local.rkt(['export', uuid, aci])).code).toBe(254);
    await box.ok(['export', '--overwrite', uuid, aci]);
  });

  test('a pod that runs or has not run yet', async () => {
    const pod = box.start('echo ready; sleep 1000');
    await pod.running.printed(/ready/);
    const running = await box.local.rkt(['export', pod.uuid, output()]);
    expect(running.stderr).toContain('only a pod that has exited can be exported');
    await box.ok(['stop', '--force', pod.uuid]);
    await pod.running.done;
    const aci = output();
    const prepared = await box.local.rkt(['export', await box.prepare(), aci]);
    expect(prepared.code).toBe(254);
    expect(existsSync(aci)).toBe(false);
  });

  test('an app that is not there', async () => {
    const uuid = await exited('true');
    const { stderr } = await box.local.rkt(['export', '--app=other', uuid, output()]);
    expect(stderr).toContain('has no app "other", but data');
  });
});

test('an exported pod is as it was, with no mount left', async () => {
  const uuid = await exited('true');
  await box.ok(['export', uuid, output()]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(box.local.dir);
  await box.ok(['rm', uuid]);
});
