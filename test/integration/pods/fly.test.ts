import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { mountsBelow } from '../../lib/local.ts';
import { Box, type PodOptions } from './box.ts';
import { BOX } from './image.ts';

const box = new Box({
  name: 'example.org/point',
  app: { mountPoints: [{ name: 'data', path: '/data' }] },
});

const FLY = ['--net=host', '--stage1-name=coreos.com/rkt/stage1-fly'];
const fly = (script: string, options: PodOptions = {}) =>
  box.run(script, { ...options, pod: [...FLY, ...(options.pod ?? [])] });

describe('an app in the fly flavour', () => {
  test('gives its exit status and its streams', async () => {
    const result = await fly('echo out; echo err >&2; exit 5');
    expect(result).toMatchObject({ code: 5, stdout: 'out\n', stderr: 'err\n' });
  });

  test('killed by a signal ends as such', async () => {
    expect((await fly('kill -KILL $$')).code).toBe(137);
  });

  test('is the process that rkt run was', async () => {
    const pod = box.start('echo $$; exec sleep 1000', { pod: FLY });
    const [pid] = await pod.running.printed(/^\d+$/m);
    expect(pod.file('pid')).toBe(`${pid}\n`);
    expect(pod.file('pgid')).toBe(`${pid}\n`);
    expect(await box.state(pod.uuid)).toBe('running');
    await pod.running.kill('SIGTERM');
    expect((await pod.running.done).code).toBe(143);
    expect(await box.state(pod.uuid)).toBe('exited');
  });

  test('has no status file and no app line in the status', async () => {
    const { pod } = await fly('exit 3');
    expect(pod.status()).toBeUndefined();
    expect(await box.ok(['status', pod.uuid])).not.toContain('app-');
  });

  test('shares every namespace of the host but that of mounts', async () => {
    const script = 'for name in ipc net pid uts mnt; do readlink /proc/self/ns/$name; done';
    const host = (await box.local.startProgram('sh', ['-c', script]).done).stdout.split('\n');
    const own = (await fly(script)).stdout.split('\n');
    expect(own.slice(0, 4)).toEqual(host.slice(0, 4));
    expect(own[4]).not.toBe(host[4]);
  });

  test('has its user, groups, working directory and environment', async () => {
    const { stdout } = await fly('id -u; id -g; grep Groups /proc/self/status; pwd; env', {
      app: ['--user=11', '--group=12', '--supplementary-gids=13,14', '--working-dir=/bin'],
      env: { SECRET: 'x' },
    });
    expect(stdout).toMatch(/^11\n12\nGroups:\t13 14 \n\/bin\n/);
    expect(stdout).toMatch(/^AC_APP_NAME=box$/m);
    expect(stdout).toMatch(/^HOME=\/root$/m);
    expect(stdout).not.toContain('SECRET');
  });

  test('takes any argument', async () => {
    const { stdout } = await box.runPod(
      [BOX, '--', 'printf "%s\\0" "$0" "$@"', '$HOME %n', '', '\n'],
      {
        pod: FLY,
      },
    );
    expect(stdout).toBe('$HOME %n\0\0\n\0');
  });

  test("has the host's devices, /proc and /sys, and a /tmp of its own", async () => {
    const marker = box.file('');
    const { stdout } = await fly(
      `ls /proc/${process.pid}/comm; stat -c %F /dev/null /sys/kernel; ls ${marker}`,
    );
    expect(stdout).toBe(`/proc/${process.pid}/comm\ncharacter special file\ndirectory\n`);
  });

  test('mounts host volumes, files and folders, writable and read-only', async () => {
    const source = box.folder();
    writeFileSync(join(source, 'in'), 'seen\n');
    const { stdout } = await fly(
      'cat /a/in; touch /a/out; touch /b/x 2>/dev/null || echo no; cat /conf',
      {
        pod: [
          `--volume=a,kind=host,source=${source}`,
          `--volume=b,kind=host,source=${source},readOnly=true`,
          `--volume=c,kind=host,source=${box.file('setting\n')}`,
        ],
        app: [
          '--mount=volume=a,target=/a',
          '--mount=volume=b,target=/b',
          '--mount=volume=c,target=/conf',
        ],
      },
    );
    expect(stdout).toBe('seen\nno\nsetting\n');
    expect(readFileSync(join(source, 'out'), 'utf8')).toBe('');
  });

  test('mounts a volume inside of another one, whichever is named first', async () => {
    const [outer, inner] = [box.folder(), box.folder()];
    writeFileSync(join(outer, 'outer'), '');
    writeFileSync(join(inner, 'inner'), '');
    const { stdout } = await fly('ls -R /data', {
      pod: [`--volume=o,kind=host,source=${outer}`, `--volume=i,kind=host,source=${inner}`],
      app: ['--mount=volume=i,target=/data/sub', '--mount=volume=o,target=/data'],
    });
    expect(stdout).toBe('/data:\nouter\nsub\n\n/data/sub:\ninner\n');
  });

  test('leaves no mount behind in the host', async () => {
    await fly('true');
    expect(mountsBelow(box.local.scratch)).toEqual([]);
  });

  test('keeps no descriptor of the command', async () => {
    expect((await fly('ls -l /proc/self/fd')).stdout).not.toMatch(/anon_inode|\.node/);
  });

  test('does not ignore SIGPIPE, as Node does', async () => {
    const { stdout } = await fly('grep SigIgn /proc/self/status');
    const ignored = BigInt(`0x${stdout.trim().split(/\s+/)[1]}`);
    expect(ignored & (1n << 12n)).toBe(0n);
  });
});

test("a network other than the host's is told of, and the app has the host's", async () => {
  const script = 'readlink /proc/self/ns/net';
  const host = (await box.local.startProgram('sh', ['-c', script]).done).stdout;
  const { stdout, stderr } = await box.run(script, { pod: ['--net=none', FLY[1] ?? ''] });
  expect(stdout).toBe(host);
  expect(stderr).toContain("host's network");
});

describe('the fly flavour refuses', () => {
  test.each([
    ['several apps', [BOX, BOX, '--name=b'], /exactly one app/],
    [
      'an empty volume',
      ['--volume=v,kind=empty', BOX, '--mount=volume=v,target=/v'],
      /host volumes/,
    ],
    ['a mount point without a volume', ['example.org/point'], /\/data/],
    ['a missing program', [BOX, '--exec=nothing'], /unable to find "nothing"/],
    ['an unknown user', [BOX, '--user=nobody-here'], /nobody-here/],
  ])('%s', async (_, args, message) => {
    const { code, stderr } = await box.runPod(args, { pod: FLY });
    expect(code).toBe(254);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^rkt: run: .*\n$/);
  });
});

test.each([
  ['in order', [], 143],
  ['at once', ['--force'], 137],
])('rkt stop ends a fly pod %s', async (_, flags, code) => {
  const pod = box.start('echo ready; exec sleep 1000', { pod: FLY });
  await pod.running.printed(/ready/);
  expect(await box.ok(['stop', ...flags, pod.uuid])).toBe(`"${pod.uuid}"\n`);
  expect((await pod.running.done).code).toBe(code);
});
