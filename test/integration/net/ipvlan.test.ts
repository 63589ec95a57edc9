// @vm: links of these kinds are on the VM host only.
import { expect, test } from 'vitest';
import { type Host, needs, startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, startPod } from '../pods/host-box.ts';
import { addressesOf, inPod, SERVER, server, WHO } from './net-box.ts';
import { defineNetwork, networkTraces } from './outside.ts';

const host: Host = await startHost();
importBox(host, server);

test('ipvlan: two pods on it reach each other', async (context) => {
  needs(context, 'ipvlan');
  await host.ok([
    'sh',
    '-ec',
    'ip link add lan2 type veth peer name lan3; ip link set lan2 up; ip link set lan3 up',
  ]);
  await defineNetwork(host, '21-ipvlan.conf', {
    cniVersion: '1.0.0',
    name: 'ipvlan',
    type: 'ipvlan',
    master: 'lan2',
    ipam: { type: 'host-local', subnet: '10.22.0.0/24' },
  });
  const one = await startPod(host, [SERVER, '--', WHO], '--net=ipvlan');
  const { ip4 } = await addressesOf(host, one.uuid);
  expect(await inPod(host, 'ipvlan', `nc ${ip4} 80 < /dev/null`)).toBe('served');
  await host.ok(['rkt', 'stop', one.uuid]);
  await one.running.done;
});

test('vlan, vrf and a dummy link of the host, of one pod', async (context) => {
  needs(context, 'ipvlan');
  await host.ok([
    'sh',
    '-ec',
    `ip link add lan4 type veth peer name lan5; ip link set lan4 up; ip link set lan5 up
    ip link add link lan5 name lan5.42 type vlan id 42; ip addr add 10.23.0.1/24 dev lan5.42
    ip link set lan5.42 up; ip link add lan6 type dummy`,
  ]);
  const ipam = { type: 'host-local', subnet: '10.23.0.0/24', rangeStart: '10.23.0.10' };
  const vlan = { type: 'vlan', master: 'lan4', vlanId: 42, ipam };
  await defineNetwork(host, '22-vlan.conf', { cniVersion: '1.0.0', name: 'vlan', ...vlan });
  await defineNetwork(host, '23-vrf.conflist', {
    cniVersion: '1.0.0',
    name: 'vrf',
    plugins: [
      { type: 'ptp', ipam: { type: 'host-local', subnet: '10.24.0.0/24' } },
      { type: 'vrf', vrfname: 'blue' },
    ],
  });
  await defineNetwork(host, '24-dummy.conf', {
    cniVersion: '1.0.0',
    name: 'dummy',
    type: 'host-device',
    device: 'lan6',
    ipam: { type: 'static', addresses: [{ address: '10.25.0.2/24' }] },
  });
  const said = await inPod(host, 'vlan,vrf,dummy', 'busybox ping -c 1 10.23.0.1; busybox ip addr');
  expect(said).toContain('1 packets received');
  expect(said).toMatch(/eth1@.* master blue /);
  expect(said).toMatch(/eth2:(.|\n)* 10\.25\.0\.2\/24/);
  await expect.poll(() => networkTraces(host), { timeout: PATIENCE }).toBe('');
});
