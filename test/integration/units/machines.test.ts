// Pods as machinectl(1), systemctl(1) and journalctl(1) see them, and what restarts around them.
import { beforeEach, describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, state } from '../pods/host-box.ts';
import { boxPod, installRkt, podOf, writePod } from './installed.ts';

const host = await startHost();
installRkt(host);
importBox(host);

let uuid: string;
let machine: string;

beforeEach(async () => {
  await writePod(host, 'm.pod', boxPod('echo ready; exec sleep 1000'));
  await host.ok(['systemctl', 'restart', 'm']);
  uuid = await podOf(host, 'm');
  machine = `rkt-${uuid}`;
  return async () => {
    await host.ok(['systemctl', 'stop', 'm']);
  };
});

describe('machinectl', () => {
  test('list, status and show know the pod', async () => {
    expect(await host.ok(['machinectl', 'list', '--no-legend'])).toContain(machine);
    expect(await host.ok(['machinectl', 'status', machine])).toContain('Unit: m.service');
    expect(await host.ok(['machinectl', 'show', machine])).toContain('Service=rkt');
  });

  test.each(['poweroff', 'terminate', 'kill'])('%s ends the pod and its unit', async (verb) => {
    await host.ok(['machinectl', verb, machine]);
    const active = () => host.ok(['systemctl', 'show', '--value', '-p', 'ActiveState', 'm']);
    await expect.poll(active, { timeout: PATIENCE }).toMatch(/inactive|failed/);
    expect(await host.ok(['rkt', 'status', uuid])).toMatch(/^state=exited/);
  });

  test('poweroff lets the apps stop in order: the unit has succeeded', async () => {
    await host.ok(['machinectl', 'poweroff', machine]);
    const active = () => host.ok(['systemctl', 'show', '--value', '-p', 'ActiveState', 'm']);
    await expect.poll(active, { timeout: PATIENCE }).toBe('inactive');
    expect(await host.ok(['systemctl', 'show', '--value', '-p', 'Result', 'm'])).toBe('success');
    expect(await host.ok(['rkt', 'status', uuid])).toContain('app-box=0');
  });

  test.each(['login', 'shell'])('%s says that there is no bus in the pod', async (verb) => {
    const { code, stderr, stdout } = await host.run(['machinectl', verb, machine]);
    expect(code).not.toBe(0);
    expect(stderr + stdout).toContain('no system bus in container');
    expect(await state(host, uuid)).toBe('running');
  });
});

test('systemctl -M fails, and the pod goes on', async () => {
  const { code } = await host.run(['systemctl', '-M', machine, 'list-units']);
  expect(code).not.toBe(0);
  expect(await state(host, uuid)).toBe('running');
});

test('the journal has what the apps write, under the unit and the pod', async () => {
  for (const match of [`RKT_POD=${uuid}`, '_SYSTEMD_UNIT=m.service'])
    await expect.poll(() => host.ok(['journalctl', match, '--output=cat'])).toContain('ready');
});

test.each([
  ['systemctl', 'daemon-reexec'],
  ['systemctl', 'restart', 'systemd-machined'],
  ['systemctl', 'restart', 'dbus'],
  ['systemctl', 'restart', 'systemd-journald'],
])('%s %s %s leaves the pod running, listed, and to be stopped', async (...command) => {
  await host.run(command.filter((word) => word !== undefined));
  const listed = async () => (await host.run(['machinectl', 'list', '--no-legend'])).stdout;
  await expect.poll(listed, { timeout: PATIENCE }).toContain(machine);
  expect(await state(host, uuid)).toBe('running');
  expect(await host.ok(['rkt', 'enter', uuid, '/bin/echo', 'alive'])).toBe('alive');
  await host.ok(['rkt', 'stop', uuid]);
  expect(await host.ok(['rkt', 'status', uuid])).toMatch(/^state=exited/);
});
