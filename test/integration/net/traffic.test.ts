import { beforeAll, describe, expect, test } from 'vitest';
import { type Host, startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, startPod, state } from '../pods/host-box.ts';
import { BOX } from '../pods/image.ts';
import { ask, serving, WHO } from './net-box.ts';
import { defineNetwork, makeOutside, networkTraces, OUTSIDE, outside } from './outside.ts';

const host: Host = await startHost();
importBox(host, {
  name: 'example.org/server',
  app: {
    ports: [
      { name: 'web', protocol: 'tcp', port: 80 },
      { name: 'many', protocol: 'tcp', port: 90, count: 3 },
      { name: 'time', protocol: 'udp', port: 37 },
    ],
  },
});
makeOutside(host);
beforeAll(async () => {
  await defineNetwork(host, '10-dual.conf', {
    cniVersion: '1.0.0',
    name: 'dual',
    type: 'bridge',
    bridge: 'br-dual',
    isGateway: true,
    ipMasq: true,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: '10.20.0.0/24' }], [{ subnet: 'fd20::/64' }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    },
  });
  await defineNetwork(host, '11-six.conf', {
    cniVersion: '1.0.0',
    name: 'six',
    type: 'ptp',
    ipam: { type: 'host-local', subnet: 'fd33::/64', routes: [{ dst: '::/0' }] },
  });
});

/** Runs one command in a pod and gives what it prints. */
const inPod = (net: string, script: string): Promise<string> =>
  host.ok(['sh', '-c', 'rkt run "$1" "$2" -- "$3"', 'sh', `--net=${net}`, BOX, script]);

async function addressOf(uuid: string): Promise<string> {
  const status = await host.ok(['rkt', 'status', uuid]);
  return /networks=[^:]*:ip4=([0-9.]+)/.exec(status)?.[1] ?? status;
}

describe('a pod in the default network', () => {
  test('has an address of it, and reaches the host', async () => {
    const said = await inPod('default', 'ip -4 addr show eth0; ping -c 1 172.16.28.1');
    expect(said).toMatch(/inet 172\.16\.28\.\d+\/24/);
    expect(said).toContain('1 packets received');
  });

  test('is shown with its address while it runs, and answers the host', async () => {
    const pod = await startPod(host, ['example.org/server', '--', WHO], '--net=default');
    const address = await addressOf(pod.uuid);
    expect(await host.ok(['rkt', 'list'])).toContain(`default:ip4=${address}`);
    expect(await host.ok(ask(address, 80), { input: '' })).toBe('served');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('reaches the second machine under the host’s address', async () => {
    const server = host.start(outside(['timeout', '60', 'nc', '-v', '-n', '-l', '-p', '7001']));
    await server.printed(/[Ll]istening/, 'stderr');
    await inPod('default', `echo hello | nc -w 3 ${OUTSIDE.own4} 7001`);
    const { stdout, stderr } = await server.done;
    expect(stdout).toContain('hello');
    expect(stderr).toContain(OUTSIDE.host4);
  });

  test('has a resolver that it can reach, not the host’s loopback', async () => {
    await host.ok([
      'sh',
      '-c',
      'printf "nameserver 127.0.0.53\\nnameserver 10.9.0.2\\n" > /etc/resolv.conf',
    ]);
    expect(await inPod('default', 'cat /etc/resolv.conf')).toBe('nameserver 10.9.0.2');
  });
});

test('default-restricted reaches the host and not the second machine', async () => {
  const said = await inPod(
    'default-restricted',
    `ping -c 1 -W 2 172.31.0.1; ping -c 1 -W 2 ${OUTSIDE.own4}; true`,
  );
  expect(said).toContain('1 packets received');
  expect(said.match(/1 packets received/g)).toHaveLength(1);
});

describe('a published port', () => {
  const publish = (...flags: string[]) =>
    startPod(host, [...flags, 'example.org/server', '--', WHO], '--net=default');

  test('answers the second machine, the host by its address, and the host by 127.0.0.1', async () => {
    const pod = await publish('--port=web:8080');
    expect(await host.ok(outside(ask(OUTSIDE.host4, 8080)), { input: '' })).toBe('served');
    expect(await host.ok(ask(OUTSIDE.host4, 8080), { input: '' })).toBe('served');
    expect(await host.ok(ask('127.0.0.1', 8080), { input: '' })).toBe('served');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
    expect((await host.run(ask('127.0.0.1', 8080), { input: '' })).stdout).toBe('');
  });

  test('of one address is not there at the others', async () => {
    const pod = await publish('--port=web:127.0.0.1:8081');
    expect(await host.ok(ask('127.0.0.1', 8081), { input: '' })).toBe('served');
    expect((await host.run(outside(ask(OUTSIDE.host4, 8081)), { input: '' })).code).not.toBe(0);
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('that is a range leads to each port of it', async () => {
    const pod = await startPod(
      host,
      ['--port=many:8090', 'example.org/server', '--', serving(92)],
      '--net=default',
    );
    expect(await host.ok(outside(ask(OUTSIDE.host4, 8092)), { input: '' })).toBe('served');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('carries UDP', async () => {
    const pod = await startPod(
      host,
      ['--port=time:3700', 'example.org/server', '--', WHO],
      '--net=default',
    );
    const leader = await host.ok(['machinectl', 'show', '-p', 'Leader', '--value', pod.machine]);
    // busybox speaks no UDP: the server is the host's program in the pod's network.
    const server = host.start([
      ...['nsenter', '--net', `--target=${leader}`],
      ...['socat', '-d', '-d', '-u', 'UDP-RECVFROM:37', '-'],
    ]);
    await server.printed(/receiving on/, 'stderr');
    await host.run(outside(['nc', '-u', '-w', '1', OUTSIDE.host4, '3700']), { input: 'ping\n' });
    expect((await server.done).stdout).toBe('ping\n');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('carries IPv6', async () => {
    const pod = await startPod(
      host,
      ['--port=web:8086', 'example.org/server', '--', WHO],
      '--net=dual',
    );
    expect(await host.ok(outside(ask(OUTSIDE.host6, 8086)), { input: '' })).toBe('served');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test.each([
    ['a bridge', 'dual'],
    ['two links', 'six'],
  ])('answers the host by [::1], of two pods on %s', async (_, net) => {
    // A kernel that filters in bridges would take the answer for one from outside.
    const filter = '/proc/sys/net/bridge/bridge-nf-call-ip6tables';
    await host.ok(['sh', '-c', `[ ! -e ${filter} ] || echo 0 > ${filter}`]);
    const start = (port: number) =>
      startPod(host, [`--port=web:${port}`, 'example.org/server', '--', WHO], `--net=${net}`);
    const pods = [await start(8130), await start(8131)];
    for (const port of [8130, 8131])
      expect(await host.ok(ask('::1', port), { input: '' })).toBe('served');
    for (const pod of pods) {
      await host.ok(['rkt', 'stop', pod.uuid]);
      await pod.running.done;
      await host.ok(['rkt', 'network-gc', pod.uuid]);
    }
    const routes = await host.ok(['ip', '-6', 'route', 'show', 'table', 'local', '::1']);
    expect(routes).toMatch(/^local ::1 dev lo [^\n]*$/);
  });

  test('that answers by [::1] opens nothing else of it to the pod', async () => {
    const pod = await startPod(
      host,
      ['--port=web:8132', 'example.org/server', '--', WHO],
      '--net=six',
    );
    const listener = host.start(['socat', 'TCP6-LISTEN:7073,bind=[::1],fork', 'SYSTEM:echo host']);
    await expect
      .poll(() => host.run(ask('::1', 7073), { input: '' }).then((r) => r.stdout))
      .toBe('host\n');
    const leader = await host.ok(['machinectl', 'show', '-p', 'Leader', '--value', pod.machine]);
    const script = `ip -6 route del local ::1 table local
      ip -6 route add ::1 via fd33::1
      ip -6 route get ::1
      exec timeout 5 nc -w 3 ::1 7073 < /dev/null`;
    const asked = await host.run(['nsenter', '--net', `--target=${leader}`, 'sh', '-ec', script]);
    expect(asked.stdout).toMatch(/^::1 .*via fd33::1 dev eth0 .*\n$/);
    await listener.kill('SIGTERM');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('of one IPv6 address is not there at the IPv4 ones', async () => {
    const pod = await startPod(
      host,
      [`--port=web:[${OUTSIDE.host6}]:8087`, 'example.org/server', '--', WHO],
      '--net=dual',
    );
    expect(await host.ok(outside(ask(OUTSIDE.host6, 8087)), { input: '' })).toBe('served');
    expect((await host.run(outside(ask(OUTSIDE.host4, 8087)), { input: '' })).code).not.toBe(0);
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('that another pod has is refused before anything starts', async () => {
    const pod = await publish('--port=web:8082');
    const other = [
      'rkt',
      'run',
      '--net=default',
      '--port=web:8082',
      'example.org/server',
      '--',
      'true',
    ];
    const { code, stderr } = await host.run(other);
    expect(code).toBe(254);
    expect(stderr).toContain(`pod ${pod.uuid} has it already`);
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('that somebody listens on is refused', async () => {
    const listener = host.start(['nc', '-v', '-n', '-l', '-p', '8083']);
    await listener.printed(/[Ll]istening/, 'stderr');
    const wanted = [
      'rkt',
      'run',
      '--net=default',
      '--port=web:8083',
      'example.org/server',
      '--',
      'true',
    ];
    const { code, stderr } = await host.run(wanted);
    expect(code).toBe(254);
    expect(stderr).toContain('listens on');
    await listener.kill('SIGKILL');
  });
});

test('a pod reaches the second machine by IPv6 under the host’s address', async () => {
  const server = host.start(outside(['timeout', '60', 'nc', '-6', '-v', '-n', '-l', '-p', '7002']));
  await server.printed(/[Ll]istening/, 'stderr');
  await inPod('dual', `echo hello | nc -w 3 ${OUTSIDE.own6} 7002`);
  const { stdout, stderr } = await server.done;
  expect(stdout).toContain('hello');
  expect(stderr).toContain(OUTSIDE.host6);
});

test('two pods on a bridge reach each other by IPv4 and IPv6', async () => {
  const one = await startPod(host, ['example.org/server', '--', WHO], '--net=dual');
  const said = await inPod('dual', `ping -c 1 ${await addressOf(one.uuid)}; ping -c 1 fd20::1`);
  expect(said.match(/1 packets received/g)).toHaveLength(2);
  await host.ok(['rkt', 'stop', one.uuid]);
  await one.running.done;
});

test('a pod in several networks has an interface for each, in the order of their files', async () => {
  const said = await inPod('default,dual', 'ip -o -4 addr');
  expect(said).toMatch(/eth0 +inet 10\.20\.0\./);
  expect(said).toMatch(/eth1 +inet 172\.16\.28\./);
});

test('an argument asks for an address', async () => {
  const said = await inPod('default:IP=172.16.28.77;COLOUR=red', 'ip -o -4 addr show eth0');
  expect(said).toContain('172.16.28.77/24');
});

test('a pod file says in which networks the pod was, unless it is the default one', async () => {
  const generated = async (...flags: string[]) => {
    const file = '/run/generated-uuid';
    await host.ok(['rkt', 'run', ...flags, `--uuid-file-save=${file}`, BOX, '--', 'true']);
    return host.ok(['rkt', 'generate', `--uuid-file=${file}`]);
  };
  for (const flags of [[], ['--net=default']])
    expect(await generated(...flags)).not.toMatch(/^net=/m);
  expect(await generated('--net=dual,default')).toContain('\nnet=dual,default\n');
});

describe('when a pod has ended', () => {
  test('nothing of its networks is left', async () => {
    await inPod('default,dual', 'true');
    await expect.poll(() => networkTraces(host), { timeout: PATIENCE }).toBe('');
  });

  test('by a kill of its container manager, nothing is left either', async () => {
    const pod = await startPod(
      host,
      ['--port=web:8084', 'example.org/server', '--', WHO],
      '--net=default',
    );
    await host.ok(['machinectl', 'kill', '--signal=KILL', '--kill-whom=all', pod.machine]);
    await pod.running.done;
    await expect.poll(() => networkTraces(host), { timeout: PATIENCE }).toBe('');
  });

  test('and who cleans up after it was killed as well, gc does it', async () => {
    const pod = await startPod(host, ['example.org/server', '--', WHO], '--net=default');
    await host.ok(['systemctl', 'stop', `rkt-net-${pod.uuid}.service`]);
    await host.ok(['machinectl', 'kill', '--signal=KILL', '--kill-whom=all', pod.machine]);
    await pod.running.done;
    await expect.poll(() => state(host, pod.uuid)).toBe('exited');
    expect(await networkTraces(host)).toContain('/var/lib/cni/networks/default/172.16.28.');
    await host.ok(['rkt', 'gc']);
    await expect.poll(() => networkTraces(host), { timeout: PATIENCE }).toBe('');
    await host.ok(['rkt', 'gc', '--grace-period=0s']);
  });
});
