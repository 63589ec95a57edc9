import { describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { FLY, importBox, PATIENCE, startPod, state } from './host-box.ts';
import { BOX } from './image.ts';

const host = await startHost();
importBox(host, {
  name: 'example.org/notifier',
  annotations: [{ name: 'appc.io/executor/supports-systemd-notify', value: 'true' }],
});

const STAY = ['--', 'echo ready; exec sleep 1000'];

/** The unit that a pod is in. */
async function unitOf(uuid: string): Promise<string> {
  const script = `
    pod=/var/lib/rkt/pods/run/$1; pid=$(cat $pod/ppid 2>/dev/null || cat $pod/pid)
    ps -o unit= -p $pid`;
  return host.ok(['sh', '-c', script, 'sh', uuid]);
}

/** The names of all processes in a unit, once its app has become sleep. */
async function expectProcesses(unit: string, names: readonly string[]): Promise<void> {
  const script = `
    cgroup=$(systemctl show -P ControlGroup "$1")
    for pid in $(cat $(find /sys/fs/cgroup/systemd$cgroup /sys/fs/cgroup$cgroup -name cgroup.procs 2>/dev/null) | sort -u)
    do cat /proc/$pid/comm; done`;
  const processes = async () => {
    const { stdout } = await host.exec(['sh', '-c', script, 'sh', unit]);
    // The relay says for which pod it is there.
    return stdout
      .replace(/^(pod-relay) .*/m, '$1')
      .trimEnd()
      .split('\n')
      .sort();
  };
  await expect.poll(processes, { timeout: PATIENCE }).toEqual(names);
}

/** What a pod of an app that sleeps consists of: no Node, and nothing of rkt but the relay. */
const NSPAWN = ['pod-relay', 'sleep', 'systemd', 'systemd-nspawn'];
const FLAVOURS = [
  ['nspawn', '--net=none', [], NSPAWN],
  ['fly', '--net=host', [FLY], ['sleep']],
] as const;

describe.each(FLAVOURS)('a %s pod from a shell', (flavour, net, flags, processes) => {
  test('is in a scope of machine.slice, known to machined, without a Node process', async () => {
    const pod = await startPod(host, [...flags, BOX, ...STAY], net);
    const unit = await unitOf(pod.uuid);
    expect(unit).toBe(`rkt-${pod.uuid}.scope`);
    expect(await host.ok(['systemctl', 'show', '-P', 'Slice', unit])).toBe('machine.slice');
    await expectProcesses(unit, processes);
    expect(await host.ok(['machinectl', 'list', '--no-legend'])).toContain(pod.machine);
    const service = await host.ok(['machinectl', 'show', '--value', '-p', 'Service', pod.machine]);
    expect(service).toBe('rkt');
    expect(await state(host, pod.uuid)).toBe('running');
    await host.ok(['rkt', 'stop', pod.uuid]);
    expect((await pod.running.done).code).toBe(flavour === 'fly' ? 143 : 0);
  });

  test('gives its exit status and its output to the shell', async () => {
    const rkt = ['rkt', 'run', net, ...flags, BOX, '--', 'echo out; echo err >&2; exit 5'];
    const { code, stdout, stderr } = await host.run(['sh', '-c', '"$@"; exit $?', 'sh', ...rkt]);
    expect([code, stdout, stderr]).toEqual([5, 'out\n', 'err\n']);
  });
});

test.each(FLAVOURS)(
  'a %s pod whose scope systemd does not make is not started',
  async (_, net, flags) => {
    const uuid = await host.ok(['rkt', 'prepare', ...flags, BOX, '--', 'echo started']);
    const scope = `rkt-${uuid}.scope`;
    const other = ['systemd-run', '--quiet', '--scope', `--unit=${scope}`, 'sh', '-c'];
    const running = host.start([...other, 'echo ready; exec sleep 1000']);
    await running.printed(/ready/);
    const run = ['sh', '-c', '"$@"; exit $?', 'sh', 'rkt', 'run-prepared', net, uuid];
    const { code, stdout, stderr } = await host.run(run);
    expect([code, stdout]).toEqual([254, '']);
    expect(stderr).toMatch(new RegExp(`^rkt: run-prepared: cannot start ${scope}: .*\n$`));
    expect(await state(host, uuid)).toBe('exited');
    await host.ok(['systemctl', 'stop', scope]);
    await running.done;
  },
);

describe.each(FLAVOURS)('a %s pod as the main process of a unit', (_, net, flags, processes) => {
  const runUnit = (name: string, type: string, script: string) =>
    host.run([
      'systemd-run',
      '--quiet',
      `--unit=${name}`,
      `--service-type=${type}`,
      '--property=NotifyAccess=all',
      '--property=Delegate=yes',
      '--property=KillMode=mixed',
      '/usr/local/bin/rkt',
      'run',
      net,
      ...flags,
      `--uuid-file-save=/run/${name}.uuid`,
      BOX,
      '--',
      script,
    ]);

  test('keeps its unit, which learns when it is ready, and is known to machined', async () => {
    const name = `own-unit-${flags.length}`;
    // systemd-run of a notify service comes back when it is ready.
    expect(await runUnit(name, 'notify', 'exec sleep 1000')).toMatchObject({ code: 0, stderr: '' });
    const uuid = (await host.readFile(`/run/${name}.uuid`)).toString();
    expect(await unitOf(uuid)).toBe(`${name}.service`);
    await expectProcesses(`${name}.service`, processes);
    expect(await host.ok(['systemctl', 'is-active', name])).toBe('active');
    expect(await host.ok(['machinectl', 'list', '--no-legend'])).toContain(`rkt-${uuid}`);
    await host.ok(['systemctl', 'stop', name]);
    expect(await state(host, uuid)).toBe('exited');
    const machines = () => host.ok(['machinectl', 'list', '--no-legend']);
    await expect.poll(machines, { timeout: PATIENCE }).not.toContain(uuid);
  });

  test('gives the unit its exit status', async () => {
    const name = `failing-${flags.length}`;
    await runUnit(name, 'exec', 'exit 6');
    const show = () => host.ok(['systemctl', 'show', '-P', 'ExecMainStatus', name]);
    await expect.poll(show, { timeout: PATIENCE }).toBe('6');
    expect(await host.ok(['systemctl', 'show', '-P', 'Result', name])).toBe('exit-code');
    await host.ok(['systemctl', 'reset-failed', name]);
  });
});

describe('readiness of a unit', () => {
  test('waits for an app that tells of it itself', async () => {
    // The app's start is told over the socket that NOTIFY_SOCKET names, by busybox's nc.
    const script = 'while [ ! -e /go ]; do sleep 0.05; done; exec sleep 1000';
    const started = host.run([
      'systemd-run',
      '--quiet',
      '--no-block',
      '--unit=slow-start',
      '--service-type=notify',
      '--property=NotifyAccess=all',
      '--property=Delegate=yes',
      '/usr/local/bin/rkt',
      'run',
      '--net=none',
      '--uuid-file-save=/run/slow.uuid',
      'example.org/notifier',
      '--',
      script,
    ]);
    await started;
    const uuid = async () => (await host.exec(['cat', '/run/slow.uuid'])).stdout;
    await expect.poll(uuid, { timeout: PATIENCE }).not.toBe('');
    const list = async () => (await host.exec(['rkt', 'status', await uuid()])).stdout;
    await expect.poll(list, { timeout: PATIENCE }).toContain('pid=');
    const active = await host.run(['systemctl', 'is-active', 'slow-start']);
    expect(active.stdout.trim()).toBe('activating');
    await host.ok(['systemctl', 'stop', 'slow-start']);
  });
});

describe('rkt run --detach', () => {
  const detach = (args: readonly string[], net = '--net=none') =>
    host.run(['rkt', 'run', '--detach', net, ...args]);

  test.each(FLAVOURS)(
    'of %s prints the UUID once the pod is ready, in a service',
    async (_, net, flags, processes) => {
      const result = await detach(
        [...flags, BOX, '--', 'echo to the journal; exec sleep 1000'],
        net,
      );
      expect(result).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f-]{36}\n$/) });
      const uuid = result.stdout.trim();
      const unit = await unitOf(uuid);
      expect(unit).toBe(`rkt-${uuid}.service`);
      expect(await host.ok(['systemctl', 'show', '-P', 'Slice', unit])).toBe('machine.slice');
      expect(await host.ok(['systemctl', 'is-active', unit])).toBe('active');
      await expectProcesses(unit, processes);
      expect(await state(host, uuid)).toBe('running');
      const journal = () => host.ok(['journalctl', '--no-pager', '-o', 'cat', '-u', unit]);
      await expect.poll(journal, { timeout: PATIENCE }).toContain('to the journal');
      await host.ok(['rkt', 'stop', uuid]);
      await expect.poll(() => state(host, uuid), { timeout: PATIENCE }).toBe('exited');
    },
  );

  test('of a pod that cannot start says so and where to look', async () => {
    const { code, stdout, stderr } = await detach([BOX, '--user=nobody-here', '--', 'true']);
    expect(code).toBe(254);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^rkt: run: .*\n$/);
    expect(stderr).toMatch(/did not start|nobody-here/);
  });

  test('leaves the status of the pod behind', async () => {
    const { stdout } = await detach([BOX, '--', 'sleep 0.3; exit 8']);
    const text = await host.ok(['rkt', 'status', '--wait=30s', stdout.trim()]);
    expect(text).toContain('app-box=8');
  });

  test('works with run-prepared', async () => {
    const uuid = await host.ok(['rkt', 'prepare', BOX, ...STAY]);
    const result = await host.run(['rkt', 'run-prepared', '--detach', '--net=none', uuid]);
    expect(result).toMatchObject({ code: 0, stdout: `${uuid}\n` });
    expect(await state(host, uuid)).toBe('running');
    await host.ok(['rkt', 'stop', uuid]);
  });
});

describe('the journal', () => {
  test('has the lines of an app under its name', async () => {
    const { stdout } = await host.run([
      'rkt',
      'run',
      '--detach',
      '--net=none',
      BOX,
      '--name=teller',
      '--',
      'echo a line; exec sleep 1000',
    ]);
    const uuid = stdout.trim();
    const lines = () => host.ok(['journalctl', '--no-pager', '-o', 'cat', '-t', 'teller']);
    await expect.poll(lines, { timeout: PATIENCE }).toContain('a line');
    await host.ok(['rkt', 'stop', uuid]);
  });
});

test('with a terminal, --interactive gives the app a terminal', async () => {
  const rkt = ['rkt', 'run', '--net=none', '--interactive', BOX, '--', 'test -t 0 && tty; exit 3'];
  const { code, stdout } = await host.run(rkt, { tty: true });
  expect(stdout).toMatch(/\/dev\/(console|pts)/);
  expect(code).toBe(3);
});
