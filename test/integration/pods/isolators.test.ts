// Without systemd, on whatever cgroups this machine has.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { program as rkt } from '../../lib/local.ts';
import { Box, type PodOptions } from './box.ts';

const NARROW = 'example.org/narrow';
const box = new Box({ name: NARROW, files: { '/lib/ld-linux.so.2': '' } });
const FLY = ['--stage1-name=coreos.com/rkt/stage1-fly', '--net=host'];

/** A pod whose app has these isolators. */
const withIsolator = (name: string, value: unknown, options: PodOptions = {}) =>
  box.runSection({ exec: ['/bin/sh', '-c', 'true'], isolators: [{ name, value }] }, options);

/** A pod that has them itself. */
const podWith = (name: string, value: unknown, script = 'true', options: PodOptions = {}) =>
  box.runSection(
    { exec: ['/bin/sh', '-c', script] },
    { ...options, manifest: { isolators: [{ name, value }] } },
  );

describe('limits of a cgroup, without systemd on the host', () => {
  test('kill the app that takes more memory, which counts as 137', async () => {
    const script = 'exec dd if=/dev/zero of=/dev/null bs=64M count=1';
    expect((await box.run(script, { app: ['--memory=32Mi'] })).code).toBe(137);
  });

  test('leave no cgroup behind', async () => {
    const app = ['--memory=64Mi', '--cpu=1', '--tasks=10'];
    const { code, pod } = await box.run('true', { app });
    expect(code).toBe(0);
    const { uuid } = pod;
    await box.ok(['gc', '--grace-period=0s']);
    const find = ['/sys/fs/cgroup', '-name', `rkt-${uuid}`];
    expect((await box.local.startProgram('find', find).done).stdout).toBe('');
  });
});

describe('limits of each process', () => {
  const script = 'ulimit -Sn; ulimit -Hn';

  test('are those of --ulimit', async () => {
    const { stdout } = await box.run(script, { app: ['--ulimit=nofile=100:200'] });
    expect(stdout).toBe('100\n200\n');
  });

  test('of open files are 1024 for an app that nobody limits', async () => {
    expect((await box.run('ulimit -Sn')).stdout).toBe('1024\n');
  });

  test('of a fly app are those that rkt was started with', async () => {
    const shell = 'ulimit -Sn 700; "$@"; exit $?';
    const args = [rkt, `--dir=${box.local.dir}`, 'run', ...FLY, 'example.org/box'];
    const { stdout } = await box.local.startProgram('sh', [
      '-c',
      shell,
      'sh',
      ...args,
      '--',
      'ulimit -Sn',
    ]).done;
    expect(stdout).toBe('700\n');
  });

  test('of a fly app are those of --ulimit', async () => {
    const options = { pod: FLY, app: ['--ulimit=nofile=100:200', '--ulimit=core=0'] };
    const { stdout } = await box.run(`${script}; ulimit -c`, options);
    expect(stdout).toBe('100\n200\n0\n');
  });

  test('that are unknown are an error that names the others', async () => {
    const { code, stderr } = await box.run('true', { app: ['--ulimit=files=1'] });
    expect(code).toBe(254);
    expect(stderr).toMatch(/unknown limit, must be one of .*nofile/);
  });

  test('above the hard one are refused to who may not raise it', async () => {
    const app = ['--ulimit=nofile=1000000000'];
    const { code, stderr } = await box.run('ulimit -n', { app });
    expect(code).toBe(mayRaise() ? 0 : 254);
    if (!mayRaise()) expect(stderr).toMatch(/cannot set the limit nofile .* on this host/);
  });
});

describe.each([
  ['nspawn', [] as string[]],
  ['fly', FLY],
])('the preference of the OOM killer in %s', (_, pod) => {
  test('is that of --oom-score-adj', async () => {
    const options = { pod, app: ['--oom-score-adj=500'] };
    expect((await box.run('cat /proc/self/oom_score_adj', options)).stdout).toBe('500\n');
  });

  test('is lowered, or refused to who may not lower it', async () => {
    const options = { pod, app: ['--oom-score-adj=-500'] };
    const { code, stdout, stderr } = await box.run('cat /proc/self/oom_score_adj', options);
    if (mayRaise()) expect(stdout).toBe('-500\n');
    else expect(stderr).toMatch(/cannot set the isolator os\/linux\/oom-score-adj to -500/);
    expect(code).toBe(mayRaise() ? 0 : 254);
  });
});

/** Whether this machine's root has CAP_SYS_RESOURCE. */
function mayRaise(): boolean {
  const mask = /^CapEff:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return ((BigInt(`0x${mask}`) >> 24n) & 1n) === 1n;
}

describe('kernel parameters of a pod', () => {
  const parameters = { 'kernel.shmmax': '4096', 'net.ipv4.ip_default_ttl': '33' };

  test('are set for its namespaces alone', async () => {
    const script = 'cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_default_ttl';
    const { stdout, stderr } = await podWith('os/unix/sysctl', parameters, script);
    expect(stderr).toBe('');
    expect(stdout).toBe('4096\n33\n');
    expect(readFileSync('/proc/sys/net/ipv4/ip_default_ttl', 'utf8')).not.toBe('33\n');
  });

  test.each([
    ['kernel.core_pattern', [], "it is not a pod's own"],
    ['net/../kernel/core_pattern', [], "it is not a pod's own"],
    ['net.ipv4.ip_forward', ['--net=host'], "it would be the host's"],
    ['kernel.shmmax', ['--ipc=parent'], "it would be the host's"],
  ])('such as %s are refused (%j)', async (name, pod, why) => {
    const { code, stderr } = await podWith('os/unix/sysctl', { [name]: '1' }, 'true', { pod });
    expect(code).toBe(254);
    expect(stderr).toContain(why);
  });

  test('that the kernel does not take end the pod with 254', async () => {
    const { code, stderr } = await podWith('os/unix/sysctl', { 'net.no.such': '1' });
    expect(code).toBe(254);
    expect(stderr).toContain('cannot set the kernel parameter net.no.such');
  });
});

describe('refused, since nothing would enforce it, is', () => {
  test.each([
    ['resource/network-bandwidth', { default: true, limit: '1M' }, 'is not enforced'],
    ['os/unix/sysctl', { 'net.ipv4.ip_forward': '1' }, 'is for a pod as a whole'],
    [
      'os/linux/selinux-context',
      { user: 'u', role: 'r', type: 't', level: 's0' },
      'can be enforced for a pod as a whole only',
    ],
  ])('%s of an app', async (name, value, why) => {
    const { code, stderr } = await withIsolator(name, value);
    expect(code).toBe(254);
    expect(stderr).toContain(`the isolator ${name} ${why}`);
  });

  test.each([
    ['os/linux/no-new-privileges', true, 'is for apps'],
    ['resource/network-bandwidth', { default: true, limit: '1M' }, 'is not enforced'],
  ])('%s of a pod', async (name, value, why) => {
    const { code, stderr } = await podWith(name, value);
    expect(code).toBe(254);
    expect(stderr).toContain(`the isolator ${name} ${why}`);
  });

  test('an AppArmor profile that is not loaded, or without AppArmor', async () => {
    const { code, stderr } = await withIsolator('os/linux/apparmor-profile', { name: 'mine' });
    expect(code).toBe(254);
    expect(stderr).toContain("needs AppArmor, which this host's kernel does not have");
  });

  test('an SELinux label that does not exist, or without SELinux', async () => {
    const label = { user: 'u', role: 'r', type: 't', level: 's0' };
    const { code, stderr } = await podWith('os/linux/selinux-context', label);
    expect(code).not.toBe(0);
    if (!existsSync('/sys/fs/selinux')) expect(stderr).toContain('needs SELinux, which');
  });
});

describe('with fly', () => {
  test.each([
    ['--memory=64Mi', 'resource/memory'],
    ['--caps-remove=CAP_CHOWN', 'os/linux/capabilities-remove-set'],
    ['--seccomp=mode=remove,mkdir', 'os/linux/seccomp-remove-set'],
    ['--tasks=5', 'os/linux/tasks'],
  ])('%s is refused', async (flag, name) => {
    const { code, stderr } = await box.run('true', { pod: FLY, app: [flag] });
    expect(code).toBe(254);
    expect(stderr).toContain(`the fly stage1 does not enforce the isolator ${name}`);
  });

  test.each([
    ['--insecure-options=capabilities', '--caps-remove=CAP_CHOWN'],
    ['--insecure-options=seccomp', '--seccomp=mode=remove,mkdir'],
  ])('%s waives %s', async (insecure, flag) => {
    const { code } = await box.run('true', { pod: FLY, app: [flag], global: [insecure] });
    expect(code).toBe(0);
  });

  test('no_new_privs is set', async () => {
    const options = { pod: FLY };
    const exec = ['/bin/sh', '-c', 'grep NoNewPrivs /proc/self/status'];
    const isolators = [{ name: 'os/linux/no-new-privileges', value: true }];
    expect((await box.runSection({ exec, isolators }, options)).stdout).toBe('NoNewPrivs:\t1\n');
  });
});

describe.each(process.arch === 'x64' ? ['x86'] : [])('a program of 32-bit %s', () => {
  /** Writes "ok" by int 0x80 and exits with 0. */
  const program =
    '7f454c460101010000000000000000000200030001000000548004083400000000000000000000003400200001' +
    '000000000000000100000000000000008004080080040879000000790000000500000000100000b804000000bb' +
    '01000000b976800408ba03000000cd80b801000000bb00000000cd806f6b0a';
  const octal = program.replace(/../g, (hex) => `\\0${Number.parseInt(hex, 16).toString(8)}`);
  const script = `echo -en '${octal}' > /tmp/program; busybox chmod 755 /tmp/program; /tmp/program`;

  test('runs in an image that has the loader of such programs', async () => {
    expect(await box.run(script, { image: NARROW })).toMatchObject({ code: 0, stdout: 'ok\n' });
  });

  test('is under the filter there', async () => {
    const app = ['--seccomp=mode=remove,errno=EACCES,mkdir,mkdirat'];
    expect((await box.run('mkdir /x', { image: NARROW, app })).stderr).toMatch(/denied/);
  });

  test('is killed elsewhere, since no filter is there for it', async () => {
    expect((await box.run(script)).stdout).not.toContain('ok');
  });
});
