import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { program } from '../../lib/local.ts';
import { Box, type PodOptions, type StartedPod } from './box.ts';

const OWNED = 'example.org/owned';
const box = new Box(
  {
    name: OWNED,
    files: {
      '/lib': { link: 'usr/lib' },
      '/lib64': { link: 'usr/lib64' },
      '/etc/passwd': 'root:x:0:0::/:/bin/sh\nu:x:1000:1001::/home/u:/bin/sh\n',
      '/home/u': { folder: true, uid: 1000, gid: 1001 },
      '/home/u/file': { text: 'image\n', uid: 1000, gid: 1001 },
    },
  },
  {
    name: 'example.org/docker',
    annotations: [{ name: 'appc.io/docker/user', value: '0' }],
    app: { mountPoints: [{ name: 'volume-data', path: '/data' }] },
    files: {
      '/data': { folder: true, mode: 0o750, uid: 1001, gid: 1002 },
      '/data/file': { text: 'of the image\n', mode: 0o640, uid: 1003, gid: 1004 },
    },
  },
);

const inUsers = (options: PodOptions = {}): PodOptions => ({
  ...options,
  pod: ['--private-users', ...(options.pod ?? [])],
});
const run = (script: string, options: PodOptions = {}) =>
  box.run(script, inUsers({ image: OWNED, ...options }));

function shiftOf(pod: StartedPod): number {
  const [shift, count] = pod.file('private-users-prepared').split(':').map(Number);
  expect(count).toBe(65_536);
  return shift ?? 0;
}

const ids = (path: string) => {
  const { uid, gid } = statSync(path);
  return `${uid}:${gid}`;
};

describe('with --private-users', () => {
  test("the pod's root is an unprivileged user of the host", async () => {
    const pod = box.start('cat /proc/self/uid_map /proc/self/gid_map; echo ready; sleep 100', {
      ...inUsers(),
    });
    await pod.running.printed(/ready/);
    const shift = shiftOf(pod);
    expect(shift).toBeGreaterThan(65_535);
    const line = ['0', String(shift), '65536'];
    const maps = pod.running.stdout.trim().split('\n').slice(0, 2);
    expect(maps.map((map) => map.trim().split(/\s+/))).toEqual([line, line]);
    const inits = readFileSync(`/proc/${pod.supervisor}/task/${pod.supervisor}/children`, 'utf8');
    const init = inits.trim().split(' ');
    expect(init).toHaveLength(1);
    const status = readFileSync(`/proc/${init[0]}/status`, 'utf8');
    expect(status).toContain(`Uid:\t${shift}\t${shift}\t${shift}\t${shift}\n`);
    await box.ok(['stop', pod.uuid]);
    expect((await pod.running.done).code).toBe(0);
  });

  test('it may not touch what belongs to the host, without confinement either', async () => {
    const { stdout } = await run(
      'echo 1 > /proc/sys/vm/drop_caches || echo no sysctl; mknod /tmp/x b 254 0 || echo no device',
      { global: ['--insecure-options=all-run'] },
    );
    expect(stdout).toBe('no sysctl\nno device\n');
  });

  test.each([['an overlay'], ['a copy']])('%s has the owners of the image', async (kind) => {
    const pod = kind === 'a copy' ? ['--no-overlay'] : [];
    const { stdout, code } = await run(
      'stat -c %u:%g:%n / /bin/busybox /home/u /home/u/file /tmp /etc/mtab; echo more >> /home/u/file',
      { pod },
    );
    expect(stdout).toBe(
      '0:0:/\n0:0:/bin/busybox\n1000:1001:/home/u\n1000:1001:/home/u/file\n0:0:/tmp\n0:0:/etc/mtab\n',
    );
    expect(code).toBe(0);
  });

  test('an app runs as its user, who owns what it makes', async () => {
    const { stdout, pod } = await run(
      'id -u; id -g; touch /home/u/new; stat -c %u:%g /home/u/new',
      {
        app: ['--user=u', '--group=1001'],
      },
    );
    expect(stdout).toBe('1000\n1001\n1000:1001\n');
    expect(ids(join(pod.folder, 'overlay/owned/upper/home/u/new'))).toBe('1000:1001');
  });

  test('a user may be named by a path of the image', async () => {
    const { stdout } = await run('id -u; id -g', { app: ['--user=/home/u', '--group=/home/u'] });
    expect(stdout).toBe('1000\n1001\n');
  });

  test('an export has the owners that the pod saw', async () => {
    const { pod } = await run('touch /home/u/new; chown 7:8 /home/u/new', {});
    const file = join(box.folder(), 'out.aci');
    await box.ok(['export', pod.uuid, file]);
    const { stdout } = spawnSync('tar', ['--numeric-owner', '-tvzf', file], { encoding: 'utf8' });
    expect(stdout).toMatch(/ 7\/8 .* rootfs\/home\/u\/new\n/);
    expect(stdout).toMatch(/ 1000\/1001 .* rootfs\/home\/u\/file\n/);
    expect(stdout).toMatch(/ 0\/0 .* rootfs\/bin\/busybox\n/);
  });

  test('streams can be opened, and are copied and recorded', async () => {
    const { stdout, stderr, pod } = await run('echo a > /dev/stdout; echo b > /dev/stderr', {
      app: ['--user=u'],
    });
    expect([stdout, stderr]).toEqual(['a\n', 'b\n']);
    expect(await box.ok(['logs', pod.uuid])).toMatch(/: a\n.*: b\n$/);
  });

  test.each(['', '--interactive'])('on a terminal an app of any user has one %s', async (flag) => {
    const command = [program, `--dir=${box.local.dir}`, 'run', '--net=none', '--private-users'];
    const rest = [flag, OWNED, '--user=u', '--', "'test -t 1 && echo yes > /dev/stdout'"];
    const argv = ['-qec', [...command, ...rest].join(' '), '/dev/null'];
    const { stdout } = await box.local.startProgram('script', argv).done;
    expect(stdout).toContain('yes');
  });

  test('devices work', async () => {
    const { stdout, code } = await run(
      'echo x > /dev/null && head=$(dd if=/dev/zero bs=3 count=1 2>/dev/null | wc -c) && echo $head; echo y > /dev/shm/y && cat /dev/shm/y; test -c /dev/pts/ptmx',
      { app: ['--user=u'] },
    );
    expect(stdout).toBe('3\ny\n');
    expect(code).toBe(0);
  });

  test('what is hidden of /proc and /sys stays hidden', async () => {
    const { stdout } = await run(
      'ls /sys; cat /proc/kcore /proc/kallsyms 2>/dev/null | wc -c; echo 1 2>/dev/null > /proc/sys/kernel/core_pattern || echo read-only',
    );
    expect(stdout).toMatch(/^block\nbus\nclass\ndev\ndevices\nkernel\n0\n/);
  });

  test('the exit status is recorded, and passed on', async () => {
    const { code, pod } = await run('exit 7');
    expect(code).toBe(7);
    expect(pod.status('owned')).toBe('7\n');
  });

  test('an app that fails is started again', async () => {
    const { stdout } = await run('echo once more; [ -e /again ] || { touch /again; exit 3; }', {
      app: ['--restart=on-failure'],
    });
    expect(stdout).toBe('once more\nonce more\n');
  });
});

describe('volumes of a pod with --private-users', () => {
  test("of the host: owners are the same inside and outside, and root is no host's root", async () => {
    const folder = box.folder();
    writeFileSync(join(folder, 'theirs'), 'x');
    chownSync(join(folder, 'theirs'), 5, 6);
    const { stdout } = await run(
      'stat -c %u:%g /v /v/theirs; touch /v/root; touch /v/mine; chown 1000:1001 /v/mine',
      {
        pod: [`--volume=v,kind=host,source=${folder}`, '--mount=volume=v,target=/v'],
      },
    );
    expect(stdout).toBe('0:0\n5:6\n');
    expect(ids(join(folder, 'root'))).toBe('0:0');
    expect(ids(join(folder, 'mine'))).toBe('1000:1001');
    expect(ids(join(folder, 'theirs'))).toBe('5:6');
  });

  test('may be files, and read-only', async () => {
    const folder = mkdtempSync(join(box.local.scratch, 'v-'));
    const file = join(folder, 'file');
    writeFileSync(file, 'text\n');
    chownSync(file, 3, 4);
    const { stdout } = await run('stat -c %u:%g /f; cat /f; echo no 2>/dev/null > /f || echo ro', {
      pod: [`--volume=f,kind=host,source=${file},readOnly=true`, '--mount=volume=f,target=/f'],
    });
    expect(stdout).toBe('3:4\ntext\nro\n');
    expect(readFileSync(file, 'utf8')).toBe('text\n');
  });

  test("a setuid program of the host's root in one is started as the pod's", async () => {
    const folder = box.folder();
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, 'pause'), readFileSync('/bin/sleep'));
    chmodSync(join(folder, 'pause'), 0o4755);
    const pod = box.start('exec /v/pause 100', {
      image: OWNED,
      app: ['--user=u'],
      pod: [
        '--private-users',
        `--volume=v,kind=host,source=${folder}`,
        '--volume=usr,kind=host,source=/usr,readOnly=true,recursive=false',
        '--mount=volume=v,target=/v',
        '--mount=volume=usr,target=/usr',
      ],
      global: ['--insecure-options=seccomp'],
    });
    // For a moment it has its name already, and its user still.
    const uids = () => uidsOf(pod, 'pause')?.map((uid) => uid - shiftOf(pod));
    await expect.poll(uids).toEqual([1000, 0, 0, 0]);
    await box.ok(['stop', '--force', pod.uuid]);
    await pod.running.done;
  });

  test('that are empty or tmpfs have the owner that they were given', async () => {
    const { stdout, pod } = await run('stat -c %u:%g:%a /e /t; touch /e/new; chown 9:9 /e/new', {
      pod: [
        '--volume=e,kind=empty,uid=7,gid=8,mode=0700',
        '--volume=t,kind=tmpfs,uid=3,gid=4,mode=0750',
        '--mount=volume=e,target=/e',
        '--mount=volume=t,target=/t',
      ],
    });
    expect(stdout).toBe('7:8:700\n3:4:750\n');
    expect(ids(join(pod.folder, 'sharedVolumes/e'))).toBe('7:8');
    expect(ids(join(pod.folder, 'sharedVolumes/e/new'))).toBe('9:9');
  });

  test('that an image implies are filled with its files and owners', async () => {
    const { stdout } = await run('stat -c %u:%g:%a /data /data/file; cat /data/file', {
      image: 'example.org/docker',
    });
    expect(stdout).toBe('1001:1002:750\n1003:1004:640\nof the image\n');
  });

  test('that cannot be mapped are refused, by name', async () => {
    const { code, stderr } = await run('true', {
      pod: ['--volume=v,kind=host,source=/proc/sys', '--mount=volume=v,target=/v'],
    });
    expect(code).toBe(254);
    expect(stderr).toMatch(/volume "v" with the ids of a user namespace.*no ID-mapped mounts/);
  });
});

/** Real, effective, saved and file system uid, on the host, of a pod's process of this name. */
function uidsOf(pod: StartedPod, name: string): number[] | undefined {
  const find = (pid: number): number[] | undefined => {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    for (const child of children.filter(Boolean).map(Number)) {
      const status = readFileSync(`/proc/${child}/status`, 'utf8');
      const uids = /^Uid:\t(.*)$/m.exec(status)?.[1]?.split('\t').map(Number);
      const found = status.startsWith(`Name:\t${name}\n`) ? uids : find(child);
      if (found) return found;
    }
    return undefined;
  };
  return find(pod.supervisor);
}

describe('the input of an interactive pod with --private-users', () => {
  test('is passed on from a pipe, to its end', async () => {
    const input = `${'0123456789abcdef'.repeat(20_000)}\n`;
    const { stdout } = await run('wc -c; echo end', { pod: ['--interactive'], input });
    expect(stdout).toBe(`${input.length}\nend\n`);
  });

  test('may be empty', async () => {
    const { stdout, code } = await run('cat; echo end', { pod: ['--interactive'] });
    expect([stdout, code]).toEqual(['end\n', 0]);
  });

  test('keeps nobody when the app does not read it', async () => {
    const pod = box.start('echo done', {
      ...inUsers({ image: OWNED, pod: ['--interactive'] }),
      keepInput: true,
    });
    expect((await pod.running.done).stdout).toBe('done\n');
    expect(await box.state(pod.uuid)).toBe('exited');
  });
});

describe('what enters an app of a pod with --private-users', () => {
  test("has the app's user namespace, and its ids", async () => {
    const pod = box.start('readlink /proc/self/ns/user; echo ready; sleep 100', inUsers());
    await pod.running.printed(/ready/);
    const script = 'readlink /proc/self/ns/user; id -u; touch /entered';
    const [namespace, uid] = (await box.ok(['enter', pod.uuid, '/bin/sh', '-c', script])).split(
      '\n',
    );
    expect(namespace).toBe(pod.running.stdout.split('\n')[0]);
    expect(namespace).not.toBe(
      spawnSync('readlink', ['/proc/self/ns/user']).stdout.toString().trim(),
    );
    expect(uid).toBe('0');
    expect(ids(join(pod.folder, 'overlay/box/upper/entered'))).toBe('0:0');
    expect(await box.ok(['app', 'exec', pod.uuid, '/bin/sh', '-c', 'echo hi'])).toBe('hi\n');
    await box.ok(['stop', '--force', pod.uuid]);
    await pod.running.done;
  });
});

describe('the range of ids', () => {
  const rangeOf = (uuid: string) =>
    readFileSync(join(box.podFolder(uuid), 'private-users-prepared'), 'utf8');

  test('is another one for each pod', async () => {
    const uuids = await Promise.all(
      Array.from({ length: 8 }, () => box.prepare('true', ['--private-users'])),
    );
    expect(new Set(uuids.map(rangeOf)).size).toBe(8);
  });

  test('is kept from prepare to run-prepared', async () => {
    const uuid = await box.prepare('cat /proc/self/uid_map', ['--private-users']);
    const [shift = ''] = rangeOf(uuid).split(':');
    const map = await box.ok(['run-prepared', '--net=none', uuid]);
    expect(map.trim().split(/\s+/)).toEqual(['0', shift, '65536']);
  });

  test('is none without the flag', async () => {
    const { stdout, pod } = await box.run('cat /proc/self/uid_map');
    expect(stdout.trim().split(/\s+/).slice(0, 2)).toEqual(['0', '0']);
    expect(existsSync(join(pod.folder, 'private-users-prepared'))).toBe(false);
  });
});

test('gc removes such a pod, all of it', async () => {
  const { pod } = await run('mkdir -m 700 /secret; touch /secret/x; chown -R 1000 /secret');
  await box.ok(['rm', pod.uuid]);
  expect(() => pod.folder).toThrow(/there is no pod/);
});

test('fly refuses --private-users before it makes a pod', async () => {
  const { code, stderr } = await box.run('true', {
    pod: ['--private-users', '--stage1-name=coreos.com/rkt/stage1-fly'],
  });
  expect(code).toBe(254);
  expect(stderr).toMatch(/fly stage1 has no namespaces.*--private-users/);
});

test('a stage1 of somebody else is told the range, and finds mapped roots', async () => {
  await box.import({
    name: 'example.org/stage1-users',
    busybox: false,
    annotations: ['run', 'gc', 'stop'].map((name) => ({
      name: `coreos.com/rkt/stage1/${name}`,
      value: '/start',
    })),
    files: {
      '/start': {
        text: '#!/bin/sh\necho $$ > pid; echo "$@"; stat -c %u stage1/rootfs/opt/stage2/owned/rootfs/home/u stage1/rootfs/start\n',
        mode: 0o755,
      },
    },
  });
  const { stdout, pod } = await run('true', { pod: ['--stage1-name=example.org/stage1-users'] });
  const shift = shiftOf(pod);
  expect(stdout).toContain(`--private-users=${shift}:65536`);
  expect(stdout).toContain(`\n${shift + 1000}\n${shift}\n`);
});

test('an app that comes later is mapped as well', async () => {
  const folder = box.folder();
  const file = join(box.folder(), 'uuid');
  const running = box.local.start([
    'app',
    'sandbox',
    '--net=none',
    '--private-users',
    `--uuid-file-save=${file}`,
  ]);
  await expect.poll(() => existsSync(file) && readFileSync(file, 'utf8')).toBeTruthy();
  const uuid = readFileSync(file, 'utf8');
  await box.ok(['status', '--wait-ready', uuid]);
  const volume = `--mnt-volume=v,kind=host,source=${folder},target=/v`;
  const script = 'stat -c %u /home/u / > /v/owners; touch /v/mine; chown 12 /v/mine';
  await box.ok(['app', 'add', uuid, OWNED, '--name=late', volume, '--', '-c', script]);
  await box.ok(['app', 'start', uuid, '--app=late']);
  await expect.poll(() => box.ok(['app', 'status', uuid, '--app=late'])).toContain('state=exited');
  expect(readFileSync(join(folder, 'owners'), 'utf8')).toBe('1000\n0\n');
  expect(ids(join(folder, 'mine'))).toBe('12:0');
  await box.ok(['app', 'rm', uuid, '--app=late']);
  await box.ok(['stop', uuid]);
  await running.done;
});

describe('a network of its own', () => {
  test('has its interfaces, and ports below 1024 for all', async () => {
    const { stdout, code } = await run(
      'ls /sys/class/net; nc -l -p 80 > /got & until echo hi | nc 127.0.0.1 80 2> /dev/null; do :; done; wait; cat /got',
      { pod: ['--net=default-restricted'], app: ['--user=root'] },
    );
    expect(stdout).toBe('eth0\nlo\nhi\n');
    expect(code).toBe(0);
  });
});

test('a lower oom_score_adj, which a user namespace does not grant, is refused', async () => {
  const { code, stderr } = await run('true', { app: ['--oom-score-adj=-500'] });
  expect(code).toBe(254);
  expect(stderr).toMatch(/oom-score-adj.*a user namespace has no CAP_SYS_RESOURCE/);
});
