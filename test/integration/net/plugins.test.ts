import { beforeAll, describe, expect, test } from 'vitest';
import { type Host, startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, startPod } from '../pods/host-box.ts';
import { addressesOf, ask, inPod, SERVER, server, WHO } from './net-box.ts';
import { defineNetwork, networkTraces } from './outside.ts';

const host: Host = await startHost();
importBox(host, server);

/** Addresses of a subnet of the test's own. */
const ipam = (subnet: string) => ({ type: 'host-local', subnet });

describe('macvlan', () => {
  beforeAll(async () => {
    await host.ok([
      'sh',
      '-ec',
      'ip link add lan0 type veth peer name lan1; ip link set lan0 up; ip link set lan1 up',
    ]);
    await defineNetwork(host, '20-macvlan.conf', {
      cniVersion: '0.4.0',
      name: 'macvlan',
      type: 'macvlan',
      master: 'lan0',
      ipam: ipam('10.21.0.0/24'),
    });
  });

  test('two pods on it reach each other', async () => {
    const one = await startPod(host, [SERVER, '--', WHO], '--net=macvlan');
    const { ip4 } = await addressesOf(host, one.uuid);
    expect(await inPod(host, 'macvlan', `nc ${ip4} 80 < /dev/null`)).toBe('served');
    await host.ok(['rkt', 'stop', one.uuid]);
    await one.running.done;
  });
});

test('DHCP: a pod has the address that a server leases to it, and gives it back', async () => {
  await host.ok([
    'sh',
    '-ec',
    'ip link add br-dhcp type bridge; ip addr add 10.23.0.1/24 dev br-dhcp; ip link set br-dhcp up',
  ]);
  await host.writeFile(
    '/etc/udhcpd.conf',
    'start 10.23.0.50\nend 10.23.0.99\ninterface br-dhcp\nlease_file /run/udhcpd.leases\npidfile /run/udhcpd.pid\nopt subnet 255.255.255.0\nopt router 10.23.0.1\nopt lease 3600\n',
  );
  await host.ok(['sh', '-ec', ': > /run/udhcpd.leases']);
  const dhcpd = host.start(['busybox', 'udhcpd', '-f', '/etc/udhcpd.conf']);
  const daemon = host.start(['/usr/lib/cni/dhcp', 'daemon']);
  await expect
    .poll(() => host.exec(['test', '-S', '/run/cni/dhcp.sock']).then((r) => r.code), {
      timeout: PATIENCE,
    })
    .toBe(0);
  await defineNetwork(host, '22-dhcp.conf', {
    cniVersion: '0.3.1',
    name: 'dhcp',
    type: 'bridge',
    bridge: 'br-dhcp',
    ipam: { type: 'dhcp' },
  });
  const said = await inPod(host, 'dhcp', 'ip -4 addr show eth0; busybox ping -c 1 10.23.0.1');
  expect(said).toMatch(/inet 10\.23\.0\.[5-9]\d\/24/);
  expect(said).toContain('1 packets received');
  await expect.poll(() => networkTraces(host), { timeout: PATIENCE }).toBe('');
  await daemon.kill('SIGTERM');
  await dhcpd.kill('SIGTERM');
});

describe('every version of CNI is spoken', () => {
  test.each(['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'])(
    '%s',
    async (cniVersion) => {
      const name = `v${cniVersion}`;
      await defineNetwork(host, `30-${name}.conf`, {
        cniVersion,
        name,
        type: 'ptp',
        ipam: ipam('10.24.0.0/24'),
      });
      const said = await inPod(host, name, 'busybox ping -c 1 10.24.0.1');
      expect(said).toContain('1 packets received');
    },
  );
});

describe('a chain of plugins', () => {
  beforeAll(async () => {
    const chain = (name: string, subnet: string, ...others: object[]) =>
      defineNetwork(host, `40-${name}.conflist`, {
        cniVersion: '0.4.0',
        name,
        plugins: [{ type: 'ptp', ipMasq: true, ipam: ipam(subnet) }, ...others],
      });
    await chain('tuned', '10.25.0.0/24', {
      type: 'tuning',
      sysctl: { 'net.core.somaxconn': '77' },
    });
    await chain('mapped', '10.26.0.0/24', {
      type: 'portmap',
      capabilities: { portMappings: true },
      snat: true,
    });
    await chain('walled', '10.27.0.0/24', { type: 'firewall', backend: 'iptables' });
  });

  test('tuning changes settings of the pod alone', async () => {
    const said = await inPod(host, 'tuned', 'cat /proc/sys/net/core/somaxconn');
    expect(said).toBe('77');
    expect(await host.ok(['cat', '/proc/sys/net/core/somaxconn'])).not.toBe('77');
  });

  test('portmap does the ports, where a chain has it', async () => {
    const pod = await startPod(host, ['--port=web:8070', SERVER, '--', WHO], '--net=mapped');
    expect(await host.ok(ask('127.0.0.1', 8070), { input: '' })).toBe('served');
    expect(await host.ok(['iptables', '-t', 'nat', '-S'])).toContain('CNI-DN-');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
    await expect
      .poll(() => host.ok(['iptables', '-t', 'nat', '-S']), { timeout: PATIENCE })
      .not.toContain('CNI-DN-');
  });

  test('firewall lets the pod out, and its rules go with the pod', async () => {
    const pod = await startPod(host, [SERVER, '--', WHO], '--net=walled');
    const { ip4 } = await addressesOf(host, pod.uuid);
    expect(await host.ok(['iptables', '-S'])).toContain(`-d ${ip4}/32`);
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
    await expect
      .poll(() => host.ok(['iptables', '-S']), { timeout: PATIENCE })
      .not.toContain(`${ip4}/32`);
  });
});

test('CHECK: status tells when a pod is no longer in its network as it was', async () => {
  const pod = await startPod(host, [SERVER, '--', WHO], '--net=default');
  await host.ok(['rkt', 'status', '--check-networks', pod.uuid]);
  const leader = await host.ok(['machinectl', 'show', '-p', 'Leader', '--value', pod.machine]);
  await host.ok(['nsenter', '--net', `--target=${leader}`, 'ip', 'addr', 'flush', 'dev', 'eth0']);
  const { code, stderr } = await host.run(['rkt', 'status', '--check-networks', pod.uuid]);
  expect(code).toBe(254);
  expect(stderr).toMatch(/^rkt: status: network "default": CNI plugin "ptp" \(CHECK\) failed: /);
  await host.ok(['rkt', 'stop', pod.uuid]);
  await pod.running.done;
  const ended = await host.run(['rkt', 'status', '--check-networks', pod.uuid]);
  expect(ended.stderr).toContain('does not run');
});

test('GC: rkt gc tells the plugins of CNI 1.1.0 which pods are there', async () => {
  await host.writeFile(
    '/opt/cni/bin/collected',
    `#!/bin/sh
config=$(cat)
case $CNI_COMMAND in
  VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}';;
  ADD) echo '{"cniVersion":"1.1.0","ips":[]}';;
  GC) printf '%s' "$config" > /run/collected.json;;
esac
`,
    0o755,
  );
  const config = { cniVersion: '1.1.0', name: 'collected', type: 'collected' };
  await defineNetwork(host, '50-collected.conf', config);
  const pod = await startPod(host, [SERVER, '--', WHO], '--net=collected');
  await host.ok(['rkt', 'gc']);
  const told: unknown = JSON.parse((await host.readFile('/run/collected.json')).toString());
  expect(told).toMatchObject({
    name: 'collected',
    'cni.dev/valid-attachments': [{ containerID: pod.uuid, ifname: 'eth0' }],
  });
  await host.ok(['rkt', 'stop', pod.uuid]);
  await pod.running.done;
  await expect
    .poll(
      async () => {
        await host.ok(['rkt', 'gc']);
        return (await host.readFile('/run/collected.json')).toString();
      },
      { timeout: PATIENCE },
    )
    .toContain('"cni.dev/valid-attachments":[]');
  await host.ok(['rm', '/etc/rkt/net.d/50-collected.conf']);
});

describe('configuration', () => {
  test('all: every network that is defined, and the built-in ones', async () => {
    await host.ok(['sh', '-ec', 'mkdir -p /run/few/net.d']);
    await host.writeFile(
      '/run/few/net.d/10-own.conf',
      JSON.stringify({ cniVersion: '1.0.0', name: 'own', type: 'ptp', ipam: ipam('10.28.0.0/24') }),
    );
    const said = await host.ok([
      ...['rkt', '--local-config=/run/few', 'run', '--net=all', 'example.org/box', '--'],
      'ip -o -4 addr',
    ]);
    expect(said).toMatch(/eth0 +inet 10\.28\./);
    expect(said).toMatch(/eth1 +inet 172\.31\./);
    expect(said).toMatch(/eth2 +inet 172\.16\.28\./);
  });

  test('a broken file is in the way of its own network alone', async () => {
    await defineNetwork(host, '00-broken.conf', '{"name": "broken", "type": ');
    await inPod(host, 'default', 'true');
    const { code, stderr } = await host.run(['rkt', 'run', '--net=broken', SERVER, '--', 'true']);
    expect(code).toBe(254);
    expect(stderr).toMatch(/^rkt: run: cannot use .*00-broken\.conf: .*\n$/);
    await host.ok(['rm', '/etc/rkt/net.d/00-broken.conf']);
  });

  test('a file overrides a built-in network of its name', async () => {
    await defineNetwork(host, '60-restricted.conf', {
      cniVersion: '1.0.0',
      name: 'default-restricted',
      type: 'ptp',
      ipam: ipam('10.29.0.0/24'),
    });
    const said = await inPod(host, 'default-restricted', 'ip -o -4 addr show eth0');
    expect(said).toContain('inet 10.29.0.');
    await host.ok(['rm', '/etc/rkt/net.d/60-restricted.conf']);
  });

  test('networks that nobody has defined are named', async () => {
    const { code, stderr } = await host.run(['rkt', 'run', '--net=aa,bb', SERVER, '--', 'true']);
    expect(code).toBe(254);
    expect(stderr).toContain('networks not found: aa, bb');
    await expect.poll(() => networkTraces(host), { timeout: PATIENCE }).toBe('');
  });
});

describe('a plugin that fails', () => {
  const faulty = (script: string) =>
    host.writeFile(
      '/opt/cni/bin/faulty',
      `#!/bin/sh\n[ $CNI_COMMAND = ADD ] || exit 0\n${script}\n`,
      0o755,
    );
  beforeAll(() =>
    defineNetwork(host, '99-z-faulty.conf', {
      cniVersion: '1.0.0',
      name: 'faulty',
      type: 'faulty',
    }),
  );

  test.each([
    ['with a message', `echo '{"code":7,"msg":"no luck"}'; exit 1`, 'no luck'],
    ['by garbage', 'echo hello', 'not JSON'],
    ['by half a JSON', `printf '{"ips":['`, 'not JSON'],
    ['by an address that is none', `echo '{"ips":[{"address":"10.0.0.1 accept"}]}'`, 'bad result'],
    ['by a signal', 'kill -9 $$', 'SIGKILL'],
  ])('%s ends the start, and what was joined before is left', async (_, script, message) => {
    await faulty(script);
    const { code, stderr } = await host.run([
      'rkt',
      'run',
      '--net=default,faulty',
      SERVER,
      '--',
      'true',
    ]);
    expect(code).toBe(254);
    expect(stderr).toContain('"faulty"');
    expect(stderr).toContain(message);
    await expect.poll(() => networkTraces(host), { timeout: PATIENCE }).toBe('');
  });
});
