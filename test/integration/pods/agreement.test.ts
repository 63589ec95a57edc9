import { describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { expectClearedByGc, FLY, importBox, PATIENCE, startPod, state } from './host-box.ts';
import { BOX } from './image.ts';

const host = await startHost();
importBox(host);

const STAY = [BOX, '--', 'echo ready; exec sleep 1000'];

describe("systemd's own tools see a running pod", () => {
  test('machinectl status and systemctl status, by its name', async () => {
    const pod = await startPod(host, STAY);
    expect(await host.ok(['machinectl', 'status', pod.machine])).toContain(`${pod.machine}.scope`);
    const status = await host.ok(['systemctl', 'status', '--no-pager', `${pod.machine}.scope`]);
    expect(status).toContain('sleep 1000');
    expect(await host.ok(['systemd-cgls', '--no-pager'])).toContain(`${pod.machine}.scope`);
    const leader = await host.ok(['machinectl', 'show', '--value', '-p', 'Leader', pod.machine]);
    const told = await host.ok(['rkt', 'status', pod.uuid]);
    expect(told).toContain(`pid=${leader}\n`);
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
    await expectClearedByGc(host, pod.uuid);
  });
});

/** Shell commands that end a pod from outside, `$1` its machine's name, `$2` its folder, `$3` how long its app sleeps. */
const ENDS: readonly (readonly [title: string, script: string])[] = [
  ['machinectl terminate', 'machinectl terminate "$1"'],
  ['machinectl poweroff', 'machinectl poweroff "$1"'],
  ['machinectl kill', 'machinectl kill "$1" --signal=KILL'],
  ['systemctl stop', 'systemctl stop "$1.scope"'],
  ['systemctl kill', 'systemctl kill --signal=KILL "$1.scope"'],
  ['rkt stop', 'rkt stop $(basename "$2")'],
  ['rkt stop --force', 'rkt stop --force $(basename "$2")'],
  ['kill -9 of the container manager', 'kill -9 $(cat "$2/ppid")'],
  ['kill -9 of its first process', 'kill -9 $(machinectl show --value -p Leader "$1")'],
  ['kill -9 of the app', 'kill -9 $(pgrep -x -f "sleep $3")'],
];

describe.each(ENDS)('after %s', (title, script) => {
  test('the pod has ended for everybody, and one gc clears it', async () => {
    // No other pod's app sleeps as long.
    const time = String(2000 + ENDS.findIndex(([name]) => name === title));
    const pod = await startPod(host, [BOX, '--', `echo ready; exec sleep ${time}`]);
    const folder = `/var/lib/rkt/pods/run/${pod.uuid}`;
    await host.exec(['sh', '-c', script, 'sh', pod.machine, folder, time]);
    await expect.poll(() => state(host, pod.uuid), { timeout: PATIENCE }).toBe('exited');
    const machines = () => host.ok(['machinectl', 'list', '--no-legend']);
    await expect.poll(machines, { timeout: PATIENCE }).not.toContain(pod.machine);
    await pod.running.done;
    expect((await host.exec(['pgrep', '-x', '-f', `sleep ${time}`])).stdout).toBe('');
    await expectClearedByGc(host, pod.uuid);
  });
});

test('machinectl poweroff stops the app in order', async () => {
  const script = 'trap "echo told; exit 0" TERM; echo ready; while :; do sleep 0.05; done';
  const pod = await startPod(host, [BOX, '--', script]);
  await host.ok(['machinectl', 'poweroff', pod.machine]);
  expect(await pod.running.done).toMatchObject({ code: 0, stdout: 'ready\ntold\n' });
  expect(await host.ok(['rkt', 'status', pod.uuid])).toContain('app-box=0');
});

test.each([
  ['machinectl terminate', 'machinectl terminate "$1"'],
  ['kill -9', 'kill -9 $(cat "$2/pid")'],
])('a fly pod has ended for everybody after %s', async (_, script) => {
  const pod = await startPod(host, [FLY, ...STAY], '--net=host');
  await host.exec(['sh', '-c', script, 'sh', pod.machine, `/var/lib/rkt/pods/run/${pod.uuid}`]);
  await pod.running.done;
  await expectClearedByGc(host, pod.uuid);
});

test('after kill -9 of its unit a detached pod has ended, and one gc clears it', async () => {
  const uuid = await host.ok(['rkt', 'run', '--detach', '--net=none', ...STAY]);
  await host.ok(['systemctl', 'kill', '--signal=KILL', `rkt-${uuid}.service`]);
  await expectClearedByGc(host, uuid);
});

test('gc leaves a running pod alone', async () => {
  const pod = await startPod(host, STAY);
  await host.ok(['rkt', 'gc', '--grace-period=0s', '--expire-prepared=0s']);
  expect(await state(host, pod.uuid)).toBe('running');
  expect(await host.ok(['machinectl', 'list', '--no-legend'])).toContain(pod.machine);
  await host.ok(['rkt', 'stop', pod.uuid]);
  await pod.running.done;
});

test('what the host unmounts while a pod runs is not kept mounted by the pod', async () => {
  // As systemd has it on a real machine; it leaves that be where it finds itself in a container.
  await host.exec(['mount', '--make-rshared', '/']);
  await host.ok(['mkdir', '/var/tmp/mounted']);
  await host.exec(['mount', '-t', 'tmpfs', 'tmpfs', '/var/tmp/mounted']);
  const pod = await startPod(host, STAY);
  await host.exec(['umount', '/var/tmp/mounted']);
  const script = 'cat "/proc/$(cat "/var/lib/rkt/pods/run/$1/ppid")/mountinfo"';
  const { stdout } = await host.exec(['sh', '-c', script, 'sh', pod.uuid]);
  expect(stdout).toContain(pod.uuid);
  expect(stdout.split('\n').filter((line) => line.includes('/var/tmp/mounted'))).toEqual([]);
  await host.ok(['rkt', 'stop', pod.uuid]);
  await pod.running.done;
});
