import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Box, type PodOptions } from './box.ts';

// A data folder on ramfs, which has no ID-mapped mounts on any kernel.

const OWNED = 'example.org/owned';
const box = new Box({
  name: OWNED,
  files: {
    '/home/u': { folder: true, uid: 1000, gid: 1001 },
    '/home/u/suid': { text: 'x', mode: 0o4755, uid: 1000, gid: 1001 },
  },
});
mkdirSync(box.local.dir);
spawnSync('mount', ['-t', 'ramfs', 'ramfs', box.local.dir], { stdio: 'inherit' });

const run = (script: string, options: PodOptions = {}) =>
  box.run(script, {
    image: OWNED,
    ...options,
    pod: ['--private-users', ...(options.pod ?? [])],
  });
const owner = (path: string) => {
  const { uid, gid } = statSync(path);
  return `${uid}:${gid}`;
};

test('the image is copied, which is told in a line, and has its owners in the pod', async () => {
  const { stdout, stderr, code, pod } = await run(
    'stat -c %u:%g:%a / /home/u /home/u/suid; touch /home/u/new; chown 7:8 /home/u/new; echo x > /dev/stdout',
  );
  expect(stdout).toBe('0:0:755\n1000:1001:755\n1000:1001:4755\nx\n');
  expect(stderr).toBe(
    `rkt: run: --private-users: the images are copied for this pod: the file system of ${box.local.dir} has no ID-mapped mounts\n`,
  );
  expect(code).toBe(0);
  const shift = Number(pod.file('private-users-prepared').split(':')[0]);
  const root = join(pod.folder, 'stage1/rootfs/opt/stage2/owned/rootfs');
  expect(owner(join(root, 'home/u/new'))).toBe(`${shift + 7}:${shift + 8}`);
  expect(pod.status('owned')).toBe('0\n');
});

test('users come from the image, and write where they may', async () => {
  const { stdout } = await run('id -u; id -g; echo x > /home/u/x && cat /home/u/x; ls /root', {
    app: ['--user=/home/u', '--group=/home/u'],
  });
  expect(stdout).toBe('1000\n1001\nx\n');
});

test('the image in the store keeps its owners', async () => {
  await run('true');
  const { stdout } = await box.run('stat -c %u:%g /home/u', { image: OWNED });
  expect(stdout).toBe('1000:1001\n');
});

test('an empty volume has the owner that it was given', async () => {
  const { stdout } = await run('stat -c %u:%g /v; touch /v/x; stat -c %u:%g /v/x', {
    app: ['--user=7', '--group=8'],
    pod: ['--volume=v,kind=empty,uid=7,gid=8,mode=0700', '--mount=volume=v,target=/v'],
  });
  expect(stdout).toBe('7:8\n7:8\n');
});

test("a host's folder there is not: its owners are the host's", async () => {
  const source = join(box.local.dir, 'folder');
  mkdirSync(source, { recursive: true });
  const { code, stderr } = await run('true', {
    pod: [`--volume=v,kind=host,source=${source}`, '--mount=volume=v,target=/v'],
  });
  expect(code).toBe(254);
  expect(stderr).toContain('cannot mount volume "v" with the ids of a user namespace');
  expect(owner(source)).toBe('0:0');
});

test('an export has the owners that the pod saw', async () => {
  const { pod } = await run('touch /home/u/new; chown 7:8 /home/u/new');
  const file = join(box.folder(), 'out.aci');
  await box.ok(['export', pod.uuid, file]);
  const { stdout } = spawnSync('tar', ['--numeric-owner', '-tvzf', file], { encoding: 'utf8' });
  expect(stdout).toMatch(/ 7\/8 .* rootfs\/home\/u\/new\n/);
  expect(stdout).toMatch(/-rwsr-xr-x 1000\/1001 .* rootfs\/home\/u\/suid\n/);
  expect(stdout).toMatch(/ 0\/0 .* rootfs\/bin\/busybox\n/);
});

test('a prepared pod is told of when it is prepared, and runs', async () => {
  const { stdout, stderr } = await box.local.rkt([
    'prepare',
    '--quiet',
    '--private-users',
    OWNED,
    '--',
    'stat -c %u /home/u',
  ]);
  expect(stderr).toContain('the images are copied for this pod');
  expect(await box.ok(['run-prepared', '--net=none', stdout.trim()])).toBe('1000\n');
});

test('so has an app that comes later', async () => {
  const file = join(box.folder(), 'uuid');
  const flags = ['--net=none', '--private-users', `--uuid-file-save=${file}`];
  const running = box.local.start(['app', 'sandbox', ...flags]);
  await expect.poll(() => existsSync(file) && readFileSync(file, 'utf8')).toBeTruthy();
  const uuid = readFileSync(file, 'utf8');
  await box.ok(['status', '--wait-ready', uuid]);
  const script = 'stat -c %u:%g / /home/u; id -u; echo told > /dev/stdout';
  const app = ['--name=late', '--user=1000', '--group=1001'];
  await box.ok(['app', 'add', uuid, OWNED, ...app, '--', '-c', script]);
  await box.ok(['app', 'start', uuid, '--app=late']);
  await running.printed(/told/);
  expect(running.stdout).toContain('0:0\n1000:1001\n1000\ntold\n');
  await box.ok(['stop', uuid]);
  await running.done;
});
