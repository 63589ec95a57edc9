// Images whose folders are symlinks to elsewhere, and volumes that change while a pod starts.
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { mountsBelow } from '../../lib/local.ts';
import { Box } from './box.ts';
import { BOX, type ImageSpec } from './image.ts';

/** A folder of this machine that the images point at. */
const OUTSIDE = `/var/tmp/rkt-outside-${process.pid}`;
const FOLDERS = ['dev', 'proc', 'sys', 'etc', 'run', 'tmp'];

/** An image whose system folders are symlinks. */
function linked(name: string, to: (folder: string) => string): ImageSpec {
  const links = FOLDERS.map((folder) => [`/${folder}`, { link: to(folder) }] as const);
  return { name: `example.org/${name}`, files: Object.fromEntries(links) };
}

const KINDS: Readonly<Record<string, (folder: string) => string>> = {
  absolute: (folder) => `${OUTSIDE}/${folder}`,
  'absolute, into one folder': () => OUTSIDE,
  'relative, above the root': (folder) => `../../../../../../../..${OUTSIDE}/${folder}`,
  'through a link to the root': (folder) => `/up${OUTSIDE}/${folder}`,
};
const HOPELESS: Readonly<Record<string, (folder: string) => string>> = {
  'in a circle': (folder) => `/${folder}`,
  'through /proc/1/root': (folder) => `/proc/1/root${OUTSIDE}/${folder}`,
};
const image = (kind: string) => `example.org/${kind.replace(/[^a-z0-9]+/g, '-')}`;

const box = new Box(
  ...Object.entries({ ...KINDS, ...HOPELESS }).map(([kind, to]) => {
    const spec = linked(image(kind).replace('example.org/', ''), to);
    return { ...spec, files: { ...spec.files, '/up': { link: '/' } } };
  }),
  {
    name: 'example.org/file-links',
    files: {
      '/etc/hosts': { link: `${OUTSIDE}/canary` },
      '/etc/hostname': { link: `../../../../../..${OUTSIDE}/passwd` },
      '/etc/resolv.conf': { link: `${OUTSIDE}/new` },
      '/etc/mtab': { link: `${OUTSIDE}/canary` },
      '/etc/passwd': { link: `${OUTSIDE}/passwd` },
    },
  },
);

beforeEach(() => {
  rmSync(OUTSIDE, { recursive: true, force: true });
  mkdirSync(OUTSIDE);
  writeFileSync(join(OUTSIDE, 'canary'), 'untouched\n');
  writeFileSync(join(OUTSIDE, 'passwd'), 'victim:x:4711:4711::/:/bin/sh\n');
});
afterAll(() => rmSync(OUTSIDE, { recursive: true, force: true }));

function expectUntouched(): void {
  expect(readdirSync(OUTSIDE).sort()).toEqual(['canary', 'passwd']);
  expect(readFileSync(join(OUTSIDE, 'canary'), 'utf8')).toBe('untouched\n');
  expect(mountsBelow(OUTSIDE)).toEqual([]);
  for (const folder of FOLDERS) expect(lstatSync(`/${folder}`).isDirectory()).toBe(true);
}

const FLAVOURS: readonly [string, string[]][] = [
  ['nspawn', ['--net=none']],
  ['fly', ['--net=host', '--stage1-name=coreos.com/rkt/stage1-fly']],
];

describe.each(FLAVOURS)('in the %s flavour, folders that are symlinks', (flavour, pod) => {
  const flags = [...pod, '--dns=9.9.9.9', '--hosts-entry=1.2.3.4=a'];

  test.each(Object.keys(KINDS))('%s: the app has its own, the host keeps its', async (kind) => {
    const script = `
      [ -c /dev/null ] && [ -r /proc/self/status ] && [ -d /sys/kernel ] && echo system
      touch /tmp/file && echo tmp
      grep -q 1.2.3.4 /etc/hosts && grep -q 9.9.9.9 /etc/resolv.conf && echo etc
      ls ${OUTSIDE}/canary 2>/dev/null; true`;
    const { stdout, stderr } = await box.run(script, { image: image(kind), pod: flags });
    // Where all of them are one folder, the last mount hides the others.
    if (kind !== 'absolute, into one folder')
      expect([stdout, stderr]).toEqual(['system\ntmp\netc\n', '']);
    expectUntouched();
  });

  test.each(Object.keys(HOPELESS))(
    '%s: nothing is started, or nothing of the host is seen',
    async (kind) => {
      const { stdout } = await box.run(`ls ${OUTSIDE}/canary`, { image: image(kind), pod: flags });
      expect(stdout).toBe('');
      expectUntouched();
    },
  );

  test('as files in /etc are followed inside the root', async () => {
    const { stdout } = await box.run('cat /etc/hosts; ls -l /etc/mtab', {
      image: 'example.org/file-links',
      pod: flags,
    });
    expect(stdout).toContain('1.2.3.4');
    expect(stdout).not.toContain('untouched');
    expectUntouched();
  });

  test(`as /etc/passwd are read inside the root: ${flavour}`, async () => {
    const { code, stderr } = await box.run('true', {
      image: 'example.org/file-links',
      pod,
      app: ['--user=victim'],
    });
    expect(code).toBe(254);
    expect(stderr).toContain('victim');
  });
});

/** Keeps changing a name between a folder and symlinks, until the pod ends. */
function swap(path: string): string {
  const targets = ['/', '/rkt', '../../../..', OUTSIDE, '/proc/1/root', '/rkt/volumes/secret'];
  const turns = targets.map(
    (to) => `rm -rf ${path}; ln -sf ${to} ${path}; rm -f ${path}; mkdir ${path};`,
  );
  return `echo ready; while :; do ${turns.join(' ')} done 2>/dev/null`;
}

/** Every path below a folder, links not followed. */
function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

describe('a folder that another one swaps while a pod starts', () => {
  const inner = ['--volume=inner,kind=empty', '--mount=volume=inner,target=/data/sub'];

  test('in a volume shared with another pod leads the mounts nowhere outside', async () => {
    const [volume, secret] = [box.folder(), box.folder()];
    writeFileSync(join(secret, 'file'), 'secret\n');
    const volumes = [
      `--volume=data,kind=host,source=${volume}`,
      `--volume=secret,kind=host,source=${secret},readOnly=true`,
    ];
    const attacker = box.start(swap('/data/sub'), {
      pod: volumes.slice(0, 1),
      app: ['--mount=volume=data,target=/data'],
    });
    await attacker.running.printed(/ready/);
    for (let round = 0; round < 6; round++) {
      const mounts = ['--mount=volume=data,target=/data', '--mount=volume=secret,target=/secret'];
      const script = `cat /data/sub/file; ls ${OUTSIDE}/canary; grep -c . /proc/self/mountinfo`;
      const run = await box.run(script, { pod: [...volumes, ...mounts, ...inner] });
      expect(run.stdout).not.toContain('canary');
      expect(tree(secret)).toEqual(['file']);
      expectUntouched();
      const root = join(run.pod.folder, 'stage1/rootfs');
      expect(
        tree(root).filter((path) => /(^|\/)sub$/.test(path) && !path.includes('opt/stage2')),
      ).toEqual([]);
    }
    await attacker.running.kill('SIGKILL');
    await attacker.running.done;
    expectUntouched();
  });

  test('by an app of the same pod leads the mounts nowhere outside', async () => {
    const secret = box.folder();
    for (let round = 0; round < 4; round++) {
      const flags = ['--volume=data,kind=empty', `--volume=secret,kind=host,source=${secret}`];
      const shared = ['--mount=volume=data,target=/data'];
      const a = [BOX, '--name=attacker', ...shared, '--', `${swap('/data/sub')} &\nsleep 1`];
      const b = [BOX, '--name=victim', ...shared, '--mount=volume=secret,target=/secret'];
      const { pod } = await box.runPod(
        [...a, '---', ...b, ...inner.slice(1), '--', 'ls /data/sub'],
        { pod: [...flags, ...inner.slice(0, 1)] },
      );
      expect(tree(secret)).toEqual([]);
      const root = join(pod.folder, 'stage1/rootfs');
      expect(
        tree(root).filter((path) => /(^|\/)sub$/.test(path) && !path.includes('opt/stage2')),
      ).toEqual([]);
      expectUntouched();
    }
  });
});
