// @vm: ipvlan is on the VM host only.
import { expect, test } from 'vitest';
import { type Host, needs, startHost } from '../../lib/host.ts';
import { importBox, startPod } from '../pods/host-box.ts';
import { addressesOf, inPod, SERVER, server, WHO } from './net-box.ts';
import { defineNetwork } from './outside.ts';

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
