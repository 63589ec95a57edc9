import { beforeAll, describe, expect, test } from 'vitest';
import { type Host, startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, startPod } from '../pods/host-box.ts';
import { addressesOf, ask, inPod, SERVER, server, WHO } from './net-box.ts';
import { defineNetwork, makeOutside, networkTraces, OUTSIDE, outside } from './outside.ts';

const host: Host = await startHost();
importBox(host, server);
makeOutside(host);

const ipam = (subnet: string, ...more: string[]) => ({
  type: 'host-local',
  ranges: [subnet, ...more].map((each) => [{ subnet: each }]),
  routes: [{ dst: '0.0.0.0/0' }, ...(more.length > 0 ? [{ dst: '::/0' }] : [])],
});

/** A network of Debian's plugins: a link, and what its user chains to it. */
const chain = (name: string, first: object, ...others: object[]) =>
  defineNetwork(host, `10-${name}.conflist`, {
    cniVersion: '1.0.0',
    name,
    plugins: [first, ...others],
  });
const ptp = (...subnets: [string, ...string[]]) => ({
  type: 'ptp',
  ipMasq: true,
  ipam: ipam(...subnets),
});

const cleared = () => expect.poll(() => networkTraces(host), { timeout: PATIENCE }).toBe('');

/** Starts a server in a network, lets `look` see it, and stops it: nothing of it may be left. */
async function serving(
  args: readonly string[],
  net: string,
  look: (addresses: { ip4: string; ip6: string; leader: string }) => Promise<void>,
): Promise<void> {
  const pod = await startPod(host, [...args, SERVER, '--', WHO], `--net=${net}`);
  try {
    const leader = await host.ok(['machinectl', 'show', '-p', 'Leader', '--value', pod.machine]);
    await look({ ...(await addressesOf(host, pod.uuid)), leader });
  } finally {
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
    await cleared();
  }
}

test('bandwidth limits what the pod sends and gets', async () => {
  await chain('slow', ptp('10.50.0.0/24'), {
    type: 'bandwidth',
    ingressRate: 8_000_000,
    ingressBurst: 8_000_000,
    egressRate: 4_000_000,
    egressBurst: 4_000_000,
  });
  await serving([], 'slow', async ({ ip4 }) => {
    expect(await host.ok(ask(ip4, 80), { input: '' })).toBe('served');
    const limits = await host.ok(['tc', 'qdisc', 'show']);
    expect(limits).toMatch(/qdisc tbf .* dev veth\S* root .*rate 8Mbit/);
    expect(limits).toMatch(/qdisc tbf .* dev bwp\S* root .*rate 4Mbit/);
  });
});

test('bandwidth is off again after a kill of the container manager', async () => {
  const pod = await startPod(host, [SERVER, '--', WHO], '--net=slow');
  await host.ok(['machinectl', 'kill', '--signal=KILL', '--kill-whom=all', pod.machine]);
  await pod.running.done;
  await cleared();
});

describe('tuning', () => {
  beforeAll(() =>
    chain('tuned', ptp('10.51.0.0/24'), {
      type: 'tuning',
      mtu: 1300,
      sysctl: { 'net.ipv4.conf.IFNAME.arp_ignore': '1' },
    }),
  );

  test('changes the link and its settings', async () => {
    const said = await inPod(
      host,
      'tuned',
      'busybox ip link show eth0; cat /proc/sys/net/ipv4/conf/eth0/arp_ignore',
    );
    expect(said).toContain('mtu 1300');
    expect(said).toMatch(/\n1$/);
    await cleared();
  });

  test('gets its argument, beside one for the plugin that leases addresses', async () => {
    const said = await inPod(
      host,
      'tuned:IP=10.51.0.77;MAC=c2:11:22:33:44:55',
      'busybox ip addr show eth0',
    );
    expect(said).toContain('c2:11:22:33:44:55');
    expect(said).toContain('inet 10.51.0.77/24');
  });
});

describe('portmap', () => {
  beforeAll(() =>
    chain('mapped', ptp('10.52.0.0/24', 'fd52::/64'), {
      type: 'portmap',
      capabilities: { portMappings: true },
      snat: true,
    }),
  );

  test('leads ports of both families, and ranges', async () => {
    await serving(['--port=web:8120', '--port=many:8121'], 'mapped', async () => {
      expect(await host.ok(ask('127.0.0.1', 8120), { input: '' })).toBe('served');
      expect(await host.ok(outside(ask(OUTSIDE.host4, 8120)), { input: '' })).toBe('served');
      expect(await host.ok(outside(ask(OUTSIDE.host6, 8120)), { input: '' })).toBe('served');
      const rules = await host.ok(['iptables', '-t', 'nat', '-S']);
      for (const port of [8121, 8122, 8123]) expect(rules).toContain(`--dport ${port}`);
    });
    expect(await host.ok(['iptables', '-t', 'nat', '-S'])).not.toContain('CNI-DN-');
    expect(await host.ok(['ip6tables', '-t', 'nat', '-S'])).not.toContain('CNI-DN-');
  });

  test('is told of one address of the host', async () => {
    await serving([`--port=web:${OUTSIDE.host4}:8124`], 'mapped', async () => {
      expect(await host.ok(outside(ask(OUTSIDE.host4, 8124)), { input: '' })).toBe('served');
      expect((await host.run(ask('127.0.0.1', 8124), { input: '' })).code).not.toBe(0);
    });
  });
});

test('sbr routes by the address that the pod has', async () => {
  await chain('by-source', ptp('10.53.0.0/24'), { type: 'sbr' });
  await serving([], 'by-source', async ({ ip4, leader }) => {
    const rules = await host.ok(['nsenter', '--net', `--target=${leader}`, 'ip', 'rule']);
    expect(rules).toContain(`from ${ip4} lookup 100`);
    expect(await host.ok(ask(ip4, 80), { input: '' })).toBe('served');
  });
});

test('host-device gives the pod a link of the host', async () => {
  await host.ok(['ip', 'link', 'add', 'lan8', 'type', 'veth', 'peer', 'name', 'lan9']);
  await host.ok(['sh', '-ec', 'ip addr add 10.54.0.1/24 dev lan8; ip link set lan8 up']);
  await chain('device', {
    type: 'host-device',
    device: 'lan9',
    ipam: {
      type: 'static',
      addresses: [{ address: '10.54.0.2/24', gateway: '10.54.0.1' }],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  });
  await serving(['--port=web:8125'], 'device', async ({ ip4 }) => {
    expect(ip4).toBe('10.54.0.2');
    expect(await host.ok(ask(ip4, 80), { input: '' })).toBe('served');
    expect(await host.ok(outside(ask(OUTSIDE.host4, 8125)), { input: '' })).toBe('served');
  });
});

test('static gives the address that its argument names', async () => {
  await chain('fixed', {
    type: 'bridge',
    bridge: 'br-fixed',
    isGateway: false,
    ipam: { type: 'static' },
  });
  const said = await inPod(host, 'fixed:IP=10.55.0.9/24;GATEWAY=10.55.0.1', 'busybox ip addr');
  expect(said).toContain('inet 10.55.0.9/24');
  await cleared();
});

test('loopback, beside another network', async () => {
  await chain('lo', { type: 'loopback' });
  const said = await inPod(
    host,
    'lo,default',
    'busybox ip -o -4 addr; busybox ping -c 1 172.16.28.1',
  );
  expect(said).toMatch(/lo +inet 127\.0\.0\.1\/8/);
  expect(said).toContain('1 packets received');
  await cleared();
});

test('a bridge may be the way out, with hairpin mode and a size of packets', async () => {
  await chain('odd', {
    type: 'bridge',
    bridge: 'br-odd',
    isDefaultGateway: true,
    hairpinMode: true,
    mtu: 1400,
    ipam: { type: 'host-local', subnet: '10.56.0.0/24' },
  });
  const said = await inPod(host, 'odd', 'busybox ip link show eth0; busybox ping -c 1 10.56.0.1');
  expect(said).toContain('mtu 1400');
  expect(said).toContain('1 packets received');
});
