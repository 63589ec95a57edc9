import { describe, expect, test } from 'vitest';
import { Box, type PodOptions } from './box.ts';

const box = new Box();
const SCRIPT = 'grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status';

/** The capability sets, by name, and the two switches that the kernel tells about an app. */
async function confinement(options: PodOptions = {}): Promise<Record<string, string>> {
  const { stdout } = await box.run(SCRIPT, options);
  return Object.fromEntries(stdout.split('\n').map((line) => line.split(/:\s*/, 2)));
}

/** A mask as in /proc/PID/status of capabilities by their numbers. */
function mask(...numbers: readonly number[]): string {
  const bits = numbers.reduce((sum, number) => sum | (1n << BigInt(number)), 0n);
  return bits.toString(16).padStart(16, '0');
}

const [CHOWN, KILL, NET_BIND, NET_RAW, SYS_ADMIN] = [0, 5, 10, 13, 21];
const DEFAULT = mask(0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31);

describe('device nodes that an app makes', () => {
  // /dev/null's numbers: a node that works would swallow what is written to it.
  const write = (path: string) => `mknod ${path} c 1 3 && { echo x > ${path}; }`;

  test.each(['/null', '/etc/null', '/tmp/null', '/run/null', '/dev/shm/null'])(
    'at %s cannot be opened',
    async (path) => {
      const { code, stderr } = await box.run(write(path));
      expect(stderr).toMatch(/Permission denied/);
      expect(code).not.toBe(0);
    },
  );

  test('in a volume cannot be opened', async () => {
    const { stderr } = await box.run(write('/data/null'), {
      pod: ['--volume=data,kind=empty'],
      app: ['--mount=volume=data,target=/data'],
    });
    expect(stderr).toMatch(/Permission denied/);
  });

  test('cannot be made in /dev', async () => {
    expect((await box.run(write('/dev/mine'))).stderr).toMatch(/Read-only file system/);
  });

  test('cannot be opened in a copied root either', async () => {
    const { stderr } = await box.run(write('/null'), { pod: ['--no-overlay'] });
    expect(stderr).toMatch(/Permission denied/);
  });
});

describe('capabilities', () => {
  test('are the 14 default ones, as bounding set and of root', async () => {
    expect(await confinement()).toMatchObject({ CapBnd: DEFAULT, CapEff: DEFAULT, CapInh: mask() });
  });

  test('are exactly those of --caps-retain', async () => {
    const app = ['--caps-retain=CAP_CHOWN,CAP_NET_BIND_SERVICE'];
    expect(await confinement({ app })).toMatchObject({ CapBnd: mask(CHOWN, NET_BIND) });
  });

  test('beyond the default ones can be retained', async () => {
    const app = ['--caps-retain=CAP_SYS_ADMIN'];
    expect(await confinement({ app })).toMatchObject({ CapBnd: mask(SYS_ADMIN) });
  });

  test('lose those of --caps-remove', async () => {
    const { CapBnd = '' } = await confinement({ app: ['--caps-remove=CAP_KILL,CAP_NET_RAW'] });
    const removed = BigInt(`0x${mask(KILL, NET_RAW)}`);
    expect(BigInt(`0x${CapBnd}`)).toBe(BigInt(`0x${DEFAULT}`) & ~removed);
  });

  test('of a user other than root are none, in the same bounding set', async () => {
    const app = ['--user=1001', '--group=1001'];
    const sets = { CapBnd: DEFAULT, CapEff: mask(), CapPrm: mask(), CapAmb: mask() };
    expect(await confinement({ app })).toMatchObject(sets);
  });

  test('are all with --insecure-options=capabilities', async () => {
    const { CapBnd = '' } = await confinement({ global: ['--insecure-options=capabilities'] });
    expect(BigInt(`0x${CapBnd}`) & (1n << BigInt(SYS_ADMIN))).not.toBe(0n);
  });

  test('that are unknown are an error that names them', async () => {
    const { code, stderr } = await box.run('true', { app: ['--caps-retain=CAP_NONSENSE'] });
    expect(code).toBe(254);
    expect(stderr).toContain('CAP_NONSENSE');
  });
});

describe('a seccomp filter', () => {
  test('is there, and root keeps the right to gain privileges', async () => {
    expect(await confinement()).toMatchObject({ Seccomp: '2', NoNewPrivs: '0' });
  });

  test('of a user other than root brings no_new_privs', async () => {
    const app = ['--user=1001', '--group=1001'];
    expect(await confinement({ app })).toMatchObject({ Seccomp: '2', NoNewPrivs: '1' });
  });

  test('is gone with --insecure-options=seccomp, and no_new_privs with it', async () => {
    const app = ['--user=1001', '--group=1001'];
    const global = ['--insecure-options=seccomp'];
    expect(await confinement({ app, global })).toMatchObject({ Seccomp: '0', NoNewPrivs: '0' });
  });

  test.each([
    ['unshare', 'unshare -m true'],
    ['mount', 'mount -t tmpfs tmpfs /tmp'],
    ['umount', 'umount /proc'],
  ])('lets %s fail as not permitted, even with the capability', async (_, command) => {
    const { code, stderr } = await box.run(command, { app: ['--caps-retain=CAP_SYS_ADMIN'] });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/not permitted|permission denied/i);
    expect(code).toBeLessThan(128);
  });

  test('turned off lets root with the capability mount', async () => {
    const { stdout } = await box.run('mount -t tmpfs tmpfs /tmp && echo mounted', {
      app: ['--caps-retain=CAP_SYS_ADMIN'],
      global: ['--insecure-options=seccomp'],
    });
    expect(stdout).toBe('mounted\n');
  });

  test('fails with the errno that is asked for', async () => {
    const app = ['--seccomp=mode=remove,errno=ENOSYS,mkdir,mkdirat'];
    const { stderr } = await box.run('mkdir /x', { app });
    expect(stderr).toMatch(/not implemented/i);
  });

  test('that removes calls leaves the others', async () => {
    const app = ['--seccomp=mode=remove,mkdir,mkdirat', '--caps-retain=CAP_SYS_ADMIN'];
    const { stdout, stderr } = await box.run('mount -t tmpfs t /tmp && echo mounted; mkdir /x', {
      app,
    });
    expect(stdout).toBe('mounted\n');
    expect(stderr).toMatch(/not permitted/i);
  });
});

test('no_new_privs can be asked for by an isolator', async () => {
  const isolators = [{ name: 'os/linux/no-new-privileges', value: true }];
  const { stdout } = await box.runSection({ exec: ['/bin/sh', '-c', SCRIPT], isolators });
  expect(stdout).toMatch(/^NoNewPrivs:\t1$/m);
});

describe('namespaces', () => {
  const script = 'for name in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$name; done';
  const inside = async (...pod: string[]) => (await box.run(script, { pod })).stdout.split('\n');
  const outside = async () => {
    const loop = 'for name in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$name; done';
    return (await box.local.startProgram('sh', ['-c', loop]).done).stdout.split('\n');
  };

  test("are the pod's own", async () => {
    const [own, host] = [await inside(), await outside()];
    expect(own.filter((name) => name !== '' && host.includes(name))).toEqual([]);
  });

  test("of the network are the host's with --net=host", async () => {
    const [own, host] = [await inside('--net=host'), await outside()];
    expect(own.filter((name) => name !== '' && host.includes(name))).toEqual([host[3]]);
  });

  test("of IPC are the host's with --ipc=parent", async () => {
    const [own, host] = [await inside('--ipc=parent'), await outside()];
    expect(own.filter((name) => name !== '' && host.includes(name))).toEqual([host[1]]);
  });

  test('with --net=none hold a loopback interface that is up, and no other', async () => {
    const { stdout } = await box.run('ls /sys/class/net; ip addr show lo');
    expect(stdout).toMatch(/^lo\n/);
    expect(stdout).toMatch(/LOOPBACK,UP/);
    expect(stdout).toContain('127.0.0.1/8');
  });

  test("of processes show the pod's only", async () => {
    const { stdout } = await box.run('ls /proc | grep -c "^[0-9]"');
    expect(Number(stdout)).toBeLessThan(10);
  });
});

test("an app cannot see the stage1 nor the other app's root", async () => {
  const { stdout } = await box.run(
    'ls -d /rkt /opt/stage2 /run/systemd/private 2>/dev/null; echo end',
  );
  expect(stdout).toBe('end\n');
});
