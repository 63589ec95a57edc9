import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { mountsBelow } from '../../lib/local.ts';
import { Box, type PodOptions, type StartedPod } from './box.ts';

const box = new Box({
  name: 'example.org/notifier',
  annotations: [{ name: 'appc.io/executor/supports-systemd-notify', value: 'true' }],
});

async function running(
  script = 'echo ready; exec sleep 1000',
  options: PodOptions = {},
): Promise<StartedPod> {
  const pod = box.start(script, options);
  await pod.running.printed(/ready/);
  return pod;
}

async function exited(): Promise<string> {
  return (await box.run('true')).pod.uuid;
}

/** A pod that a command died over while preparing it. */
function aborted(): string {
  const uuid = `${Math.random().toString(16).slice(2, 10).padEnd(8, '0')}-0000-4000-8000-000000000000`;
  mkdirSync(join(box.local.dir, 'pods/prepare', uuid, 'stage1'), { recursive: true });
  return uuid;
}

const isThere = (uuid: string) =>
  ['embryo', 'prepare', 'prepared', 'run', 'exited-garbage', 'garbage'].some((group) =>
    box.group(group).includes(uuid),
  );

describe('rkt stop', () => {
  test('stops a pod in order and prints its UUID in quotes', async () => {
    const pod = await running(
      'trap "echo told; exit 0" TERM; echo ready; while :; do sleep 0.05; done',
    );
    expect(await box.ok(['stop', pod.uuid])).toBe(`"${pod.uuid}"\n`);
    expect(await pod.running.done).toMatchObject({ code: 0, stdout: 'ready\ntold\n' });
    expect(pod.status()).toBe('0\n');
  });

  test('with --force kills at once, and leaves no status', async () => {
    const pod = await running('trap "" TERM; echo ready; while :; do sleep 0.05; done');
    await box.ok(['stop', '--force', pod.uuid]);
    expect((await pod.running.done).code).not.toBe(0);
    expect(pod.status()).toBeUndefined();
    expect(await box.ok(['status', pod.uuid])).toMatch(/^state=exited\n(?![\s\S]*app-)/);
  });

  test('says on stderr that the pod was stopped, once it has ended', async () => {
    const pod = await running();
    const { code, stdout, stderr } = await box.local.rkt(['stop', pod.uuid]);
    expect([code, stdout, stderr]).toEqual([
      0,
      `"${pod.uuid}"\n`,
      `rkt: stop: pod "${pod.uuid}" stopped\n`,
    ]);
    expect(await box.state(pod.uuid)).toBe('exited');
  });

  test('kills after --timeout, says so, and the app has a status', async () => {
    const pod = await running('trap "echo told" TERM; echo ready; while :; do sleep 0.05; done');
    const { code, stdout, stderr } = await box.local.rkt(['stop', '--timeout=2s', pod.uuid]);
    expect([code, stdout, stderr]).toEqual([
      0,
      `"${pod.uuid}"\n`,
      `rkt: stop: pod "${pod.uuid}" killed after 2s\n`,
    ]);
    expect((await pod.running.done).stdout).toBe('ready\ntold\n');
    expect(pod.status()).toBe('137\n');
  });

  test('waits for an app that needs its time, and passes on what it prints meanwhile', async () => {
    const slow = 'sleep 1; echo last; exit 0';
    const pod = await running(
      `trap "echo told; ${slow}" TERM; echo ready; while :; do sleep 0.05; done`,
    );
    const { stderr } = await box.local.rkt(['stop', '--timeout=1m', pod.uuid]);
    expect(stderr).toContain('stopped');
    expect(await pod.running.done).toMatchObject({ code: 0, stdout: 'ready\ntold\nlast\n' });
  });

  test('gives an app more time than systemd would, when told so', async () => {
    const pod = await running();
    await box.ok(['stop', '--timeout=1h', pod.uuid]);
    const conf = pod.file('stage1/rootfs/rkt/units/service.d/stop.conf');
    expect(conf).toBe('[Service]\nTimeoutStopSec=3605\n');
  });

  test.each(['soon', '-1s', '5'])(
    'with --timeout=%s is refused, and stops nothing',
    async (text) => {
      const pod = await running();
      expect((await box.local.rkt(['stop', `--timeout=${text}`, pod.uuid])).code).toBe(254);
      expect(await box.state(pod.uuid)).toBe('running');
      await box.ok(['stop', pod.uuid]);
    },
  );

  test('of a pod that is only starting stops it as soon as it can hear', async () => {
    const pod = box.start('exec sleep 1000');
    await expect.poll(() => box.group('run').length, { interval: 1 }).toBeGreaterThan(0);
    await expect.poll(() => box.group('run').includes(pod.uuid), { interval: 1 }).toBe(true);
    const { code, stderr } = await box.local.rkt(['stop', pod.uuid]);
    expect([code, stderr]).toEqual([0, `rkt: stop: pod "${pod.uuid}" stopped\n`]);
    await pod.running.done;
  });

  test('of a pod whose app does not get ready stops it', async () => {
    const pod = box.start('echo started; exec sleep 1000', { image: 'example.org/notifier' });
    await pod.running.printed(/started/);
    const { stderr } = await box.local.rkt(['stop', pod.uuid]);
    expect(stderr).toContain('stopped');
    expect((await pod.running.done).code).toBe(0);
  });

  test('of a fly pod sends the stop signal of its image, and kills after the timeout', async () => {
    const fly = {
      pod: ['--net=host', '--stage1-name=coreos.com/rkt/stage1-fly'],
      app: ['--annotation=appc.io/docker/stopsignal=USR1'],
    };
    const script = 'trap "echo usr1; exit 4" USR1; echo ready; while :; do sleep 0.05; done';
    const pod = box.start(script, fly);
    await pod.running.printed(/ready/);
    expect((await box.local.rkt(['stop', pod.uuid])).stderr).toContain('stopped');
    expect(await pod.running.done).toMatchObject({ code: 4, stdout: 'ready\nusr1\n' });
    const deaf = box.start('trap "" USR1; echo ready; while :; do sleep 0.05; done', fly);
    await deaf.running.printed(/ready/);
    const killed = await box.local.rkt(['stop', '--timeout=200ms', deaf.uuid]);
    expect(killed.stderr).toContain('killed after 200ms');
    expect(await box.state(deaf.uuid)).toBe('exited');
  });

  test('stops several pods at the same time', async () => {
    // Each ends once all three have been told to.
    const options = {
      pod: [`--volume=told,kind=host,source=${box.folder()}`],
      app: ['--mount=volume=told,target=/told'],
    };
    const all = '[ -e /told/a ] && [ -e /told/b ] && [ -e /told/c ]';
    const script = (name: string) =>
      `trap "touch /told/${name}; until ${all}; do sleep 0.05; done; exit 0" TERM
      echo ready; while :; do sleep 0.05; done`;
    const pods = await Promise.all(['a', 'b', 'c'].map((name) => running(script(name), options)));
    await box.ok(['stop', '--timeout=1m', ...pods.map(({ uuid }) => uuid)]);
    expect(pods.map((pod) => pod.status())).toEqual(['0\n', '0\n', '0\n']);
  });

  test('of an ended pod says so, and succeeds', async () => {
    const uuid = await exited();
    expect(await box.ok(['stop', uuid])).toBe(`pod "${uuid}" is already stopped\n`);
  });

  test('of a prepared pod fails', async () => {
    const uuid = await box.prepare();
    const { code, stderr } = await box.local.rkt(['stop', uuid]);
    expect(code).toBe(254);
    expect(stderr).toContain('is not running');
    expect(stderr).toContain('failed to stop 1 pod(s)');
  });

  test('of several pods with a bad one among them stops the others', async () => {
    const [one, other] = await Promise.all([running(), running()]);
    const { code, stdout, stderr } = await box.local.rkt(['stop', one.uuid, 'zzz', other.uuid]);
    expect(code).toBe(254);
    expect(stdout).toBe(`"${one.uuid}"\n"${other.uuid}"\n`);
    expect(stderr).toContain('failed to stop 1 pod(s)');
    await Promise.all([one.running.done, other.running.done]);
  });

  test('takes a UUID file; one that cannot be read gives 1', async () => {
    const pod = await running();
    await box.ok(['stop', `--uuid-file=${box.file(`${pod.uuid}\n`)}`]);
    await pod.running.done;
    expect((await box.local.rkt(['stop', '--uuid-file=/tmp/rkt-missing'])).code).toBe(1);
  });
});

describe('rkt rm', () => {
  test('removes prepared, ended, marked and aborted pods', async () => {
    const [ended, marked] = [await exited(), await exited()];
    await box.ok(['gc', '--mark-only']);
    const pods = [await box.prepare(), ended, marked, aborted()];
    expect(await box.ok(['rm', ...pods])).toBe(pods.map((uuid) => `"${uuid}"\n`).join(''));
    expect(pods.filter(isThere)).toEqual([]);
  });

  test('refuses a running pod, removes the others and fails', async () => {
    const [pod, ended] = [await running(), await exited()];
    const { code, stdout, stderr } = await box.local.rkt(['rm', pod.uuid, 'zzz', ended]);
    expect(code).toBe(254);
    expect(stdout).toBe(`"${ended}"\n`);
    expect(stderr).toContain(`pod "${pod.uuid}" is currently running`);
    expect(stderr).toContain('failed to remove one or more pods');
    expect(await box.state(pod.uuid)).toBe('running');
    await pod.running.kill('SIGTERM');
    await pod.running.done;
  });

  test('with a UUID file that cannot be read fails', async () => {
    expect((await box.local.rkt(['rm', '--uuid-file=/tmp/rkt-missing'])).code).toBe(254);
  });
});

describe('rkt gc', () => {
  // One after the other: each collects all the pods that it finds.
  test('keeps an ended pod for the grace period, and says so', async () => {
    const uuid = await exited();
    await box.ok(['gc', '--mark-only']);
    expect(await box.state(uuid)).toBe('exited garbage');
    const { stderr } = await box.local.rkt(['gc']);
    expect(stderr).toContain(`pod "${uuid}" not removed: still within grace period (30m`);
    expect(isThere(uuid)).toBe(true);
  });

  test('with --grace-period=0s removes an ended pod in one go, and everything of it', async () => {
    const uuid = await exited();
    const { stderr, stdout } = await box.local.rkt(['gc', '--grace-period=0s']);
    expect(stdout).toBe('');
    expect(stderr).toContain(`Garbage collecting pod "${uuid}"`);
    expect(isThere(uuid)).toBe(false);
    expect(mountsBelow(box.local.scratch)).toEqual([]);
    const cgroups = execFileSync('find', ['/sys/fs/cgroup', '-name', `*${uuid}*`]).toString();
    expect(cgroups).toBe('');
  });

  test('with --mark-only removes nothing, even past the grace period', async () => {
    const uuid = await exited();
    await box.ok(['gc', '--mark-only', '--grace-period=0s']);
    await box.ok(['gc', '--mark-only', '--grace-period=0s']);
    expect(await box.state(uuid)).toBe('exited garbage');
  });

  test('clears a pod whose preparation was cut off', async () => {
    const uuid = aborted();
    expect(await box.ok(['list', '--no-legend'])).not.toContain(uuid);
    await box.ok(['gc']);
    expect(isThere(uuid)).toBe(false);
  });

  test('clears one that was cut off while it wrote the manifest of its stage1', async () => {
    const uuid = aborted();
    writeFileSync(join(box.podFolder(uuid), 'stage1/manifest'), '');
    await box.ok(['gc']);
    expect(isThere(uuid)).toBe(false);
  });

  test('keeps a young prepared pod, and removes one past --expire-prepared', async () => {
    const uuid = await box.prepare();
    await box.ok(['gc']);
    expect(isThere(uuid)).toBe(true);
    await box.ok(['gc', '--expire-prepared=1ms']);
    expect(isThere(uuid)).toBe(false);
  });

  test('does not touch a running pod', async () => {
    const pod = await running();
    await box.ok(['gc', '--grace-period=0s', '--expire-prepared=0s']);
    expect(await box.state(pod.uuid)).toBe('running');
    await pod.running.kill('SIGTERM');
    expect((await pod.running.done).code).toBe(0);
  });

  test('twice at once has no errors, and nothing is left for long', async () => {
    await Promise.all([exited(), exited(), exited(), exited()]);
    const gc = () => box.local.rkt(['gc', '--grace-period=0s']);
    const both = await Promise.all([gc(), gc()]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    for (const { stderr } of both) expect(stderr).not.toMatch(/cannot|error|ENOENT/i);
    // What the one was about to collect while the other looked at it.
    await gc();
    expect(['run', 'exited-garbage', 'garbage'].flatMap((group) => box.group(group))).toEqual([]);
  });

  test('goes on after a pod that cannot be removed, and takes it the next time', async () => {
    const [stuck, fine] = [await exited(), await exited()];
    const file = join(box.podFolder(stuck), 'fixed');
    const chattr = (flag: string, path: string) => execFileSync('chattr', [flag, path]);
    mkdirSync(file);
    chattr('+i', file);
    const first = await box.local.rkt(['gc', '--grace-period=0s']);
    const path = join(box.podFolder(stuck), 'fixed');
    chattr('-i', path);
    expect(first.code).toBe(0);
    expect(first.stderr).toContain(stuck);
    expect(isThere(fine)).toBe(false);
    await box.ok(['gc', '--grace-period=0s']);
    expect(existsSync(path)).toBe(false);
    expect(isThere(stuck)).toBe(false);
  });
});
