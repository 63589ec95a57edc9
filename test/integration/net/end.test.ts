import { beforeAll, describe, expect, test } from 'vitest';
import { type Host, startHost } from '../../lib/host.ts';
import { type HostPod, importBox, PATIENCE, startPod, state } from '../pods/host-box.ts';
import { BOX } from '../pods/image.ts';
import { addressesOf, ask, fromLoopbackOf, SERVER, server, WHO } from './net-box.ts';
import {
  defineNetwork,
  makeOutside,
  networkTraces,
  OUTSIDE,
  outside,
  withOldNftables,
  withoutNftables,
} from './outside.ts';

const host: Host = await startHost();
importBox(host, server);
makeOutside(host);
beforeAll(() =>
  defineNetwork(host, '20-six.conf', {
    cniVersion: '1.0.0',
    name: 'six',
    type: 'ptp',
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: '10.41.0.0/24' }], [{ subnet: 'fd41::/64' }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    },
  }),
);

const serve = (net: string, ...flags: string[]) =>
  startPod(host, [...flags, SERVER, '--', WHO], `--net=${net}`);
const cleared = () => expect.poll(() => networkTraces(host), { timeout: PATIENCE }).toBe('');
/** The last of its processes may go a moment after the one that rkt has become. */
async function expectEnded(pod: HostPod): Promise<void> {
  await pod.running.done;
  await expect.poll(() => state(host, pod.uuid)).toBe('exited');
}
const killAll = (machine: string) =>
  host.ok(['machinectl', 'kill', '--signal=KILL', '--kill-whom=all', machine]);

describe('a published port', () => {
  test('is closed when stop returns', async () => {
    const pod = await serve('default', '--port=web:8060');
    expect(await host.ok(ask('127.0.0.1', 8060), { input: '' })).toBe('served');
    const script = 'rkt stop "$1" > /dev/null; nft list tables | grep rkt- || echo closed';
    expect(await host.ok(['sh', '-c', script, 'sh', pod.uuid])).toBe('closed');
    await pod.running.done;
  });

  test('is reached from a pod of another network, and from the pod itself', async () => {
    const pod = await serve('default', '--port=web:8061');
    const other = ['rkt', 'run', '--net=default-restricted', BOX, '--'];
    const asked = await host.ok([...other, 'nc 172.31.0.1 8061 < /dev/null']);
    expect(asked).toBe('served');
    const itself = ['rkt', 'enter', pod.uuid, 'nc', '172.16.28.1', '8061'];
    expect(await host.ok(itself, { input: '' })).toBe('served');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('goes to one of two pods that want it at the same instant', async () => {
    // The one that has it keeps it until the others have ended.
    const script = `cd "$(mktemp -d)"
      for n in 1 2 3 4; do
        rkt run --net=default --port=web:8062 "$1" -- 'echo ready; exec sleep 1000' > $n 2>&1 &
      done
      wait -n; wait -n; wait -n
      until grep -qx ready *; do sleep 0.1; done
      rkt list --full --no-legend | grep running | cut -f1 | xargs -n 1 rkt stop > /dev/null 2>&1
      wait; cat *`.replaceAll('$', '$$$$');
    const said = await host.ok(['bash', '-c', script, 'bash', SERVER]);
    expect(said.match(/^ready$/gm)).toHaveLength(1);
    expect(
      said.match(/cannot forward tcp port 8062 \("web"\): pod .* has it already/g),
    ).toHaveLength(3);
  });

  test.each([
    ['default', '--port=nothing:80', 'port name "nothing" could not be found'],
    ['none', '--port=web:8063', '--net=none'],
    ['host', '--port=web:8063', '--net=host'],
    ['default', '--port=many:65535', 'beyond 65535'],
    ['default', '--port=web:1.2.3:80', 'not an IP address'],
  ])('with --net=%s %s is refused before anything starts', async (net, flag, message) => {
    const { code, stderr } = await host.run(['rkt', 'run', `--net=${net}`, flag, SERVER]);
    expect(code).toBe(254);
    expect(stderr).toContain(message);
    expect(await networkTraces(host)).toBe('');
  });
});

test('the loopback of the host is closed again to a bridge, with the last pod that has a port', async () => {
  await defineNetwork(host, '10-lan.conf', {
    cniVersion: '1.0.0',
    name: 'lan',
    type: 'bridge',
    bridge: 'br-lan',
    isGateway: true,
    ipam: { type: 'host-local', subnet: '10.40.0.0/24' },
  });
  const setting = () => host.ok(['cat', '/proc/sys/net/ipv4/conf/br-lan/route_localnet']);
  const one = await serve('lan', '--port=web:8064');
  const other = await serve('lan', '--port=web:8065');
  expect(await setting()).toBe('1');
  await host.ok(['rkt', 'stop', one.uuid]);
  await one.running.done;
  await host.ok(['rkt', 'network-gc', one.uuid]);
  expect(await setting()).toBe('1');
  expect(await host.ok(ask('127.0.0.1', 8065), { input: '' })).toBe('served');
  await host.ok(['rkt', 'stop', other.uuid]);
  await other.running.done;
  await expect.poll(setting, { timeout: PATIENCE }).toBe('0');
});

describe('nothing is left', () => {
  test('when start is killed at any instant, and gc has run twice', async () => {
    // From before the pod has a folder until after its app has started.
    const instants = [30, 60, 90, 120, 160, 200, 250, 300, 400, 500, 700];
    const script = `for ms in ${instants.join(' ')}; do
        setsid rkt run --net=default --port=web:8066 "$1" -- 'exec sleep 1000' > /dev/null 2>&1 &
        sleep 0.$(printf %03d $ms); kill -KILL -$! 2> /dev/null; wait $!
      done; rkt gc; rkt gc; true`;
    await host.ok(['bash', '-c', script, 'bash', SERVER]);
    await cleared();
    const running = ['sh', '-c', 'rkt list --no-legend | grep running'];
    await expect.poll(async () => (await host.exec(running)).stdout).toBe('');
  });

  test('after a reboot that came between, once gc has run', async () => {
    const pod = await serve('default', '--port=web:8067');
    await host.ok(['systemctl', 'stop', `rkt-net-${pod.uuid}.service`]);
    await killAll(pod.machine);
    await expectEnded(pod);
    // A boot empties /run, and the kernel knows no namespaces, links or tables of before.
    await host.ok(['sh', '-c', 'rm -rf /run/cni /run/netns/cni-*']);
    expect(await networkTraces(host)).toMatch(
      /\/var\/lib\/cni\/networks\/default\/172\.16\.28\.\d+/,
    );
    await host.ok(['rkt', 'gc']);
    await host.ok(['rkt', 'gc', '--grace-period=0s']);
    await cleared();
  });

  test.each([
    ['gc', ['rkt', 'gc']],
    ['rm', ['rkt', 'rm']],
  ])(
    'after a power cut that emptied the records of its networks, once %s has run',
    async (name, argv) => {
      const pod = await serve('six,default');
      await host.ok(['systemctl', 'stop', `rkt-net-${pod.uuid}.service`]);
      await killAll(pod.machine);
      await expectEnded(pod);
      const empty = 'cd "/var/lib/rkt/pods/run/$$1/net"; : > 00.conf; : > 01.conf';
      await host.ok(['sh', '-ec', empty, 'sh', pod.uuid]);
      const left = await networkTraces(host);
      expect(left).toContain('/networks/six/10.41.');
      expect(left).toContain('/networks/default/172.16.');
      await host.ok(name === 'rm' ? [...argv, pod.uuid] : argv);
      await cleared();
    },
  );

  test('of a pod that is a service of its own', async () => {
    const file = '/run/detached-uuid';
    const flags = ['--detach', '--net=default', '--port=web:8069', `--uuid-file-save=${file}`];
    await host.ok(['rkt', 'run', ...flags, SERVER, '--', WHO]);
    expect(await host.ok(ask('127.0.0.1', 8069), { input: '' })).toBe('served');
    await host.ok(['rkt', 'stop', `--uuid-file=${file}`]);
    await cleared();
  });

  test('of the unit that waits for the end, when it has come', async () => {
    const pod = await serve('default');
    const unit = `rkt-net-${pod.uuid}.service`;
    expect(await host.ok(['systemctl', 'is-active', unit])).toBe('active');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
    const units = ['systemctl', 'list-units', '--all', '--plain', '--no-legend', unit];
    await expect.poll(() => host.ok(units), { timeout: PATIENCE }).toBe('');
    await cleared();
  });
});

test('fifty pods that start at once have fifty addresses', async () => {
  await host.ok(['rkt', 'gc', '--grace-period=0s']);
  const script = `for n in $(seq 50); do rkt run --net=default "$1" -- 'exec sleep 1000' & done; wait`;
  const pods = host.start(['sh', '-c', script, 'sh', BOX], { timeout: 600_000 });
  const addresses = async () =>
    new Set((await host.ok(['rkt', 'list'])).match(/172\.16\.28\.\d+/g)).size;
  await expect.poll(addresses, { timeout: 400_000, interval: 500 }).toBe(50);
  const stop = 'rkt list --no-legend | grep running | cut -f1 | xargs -n 1 rkt stop --force';
  await host.ok(['sh', '-c', stop]);
  await pods.done;
  await cleared();
}, 600_000);

describe('with iptables, where libnftables is not there', () => {
  const rules = () =>
    host.ok(['sh', '-c', 'for t in nat raw; do iptables -t $$t -S; ip6tables -t $$t -S; done']);

  test('a port is reached, the pod is masqueraded, and no rule is there when stop returns', () =>
    withoutNftables(host, async () => {
      const pod = await serve('default', '--port=web:8068');
      const { ip4 } = await addressesOf(host, pod.uuid);
      const made = await rules();
      expect(made).toContain(`RKT-PFWD-DNAT-${pod.uuid.slice(0, 8)}`);
      expect(made).toContain(ip4);
      for (const from of [
        ask('127.0.0.1', 8068),
        ask(OUTSIDE.host4, 8068),
        outside(ask(OUTSIDE.host4, 8068)),
      ])
        expect(await host.ok(from, { input: '' })).toBe('served');
      const listener = host.start(outside(['timeout', '60', 'nc', '-v', '-n', '-l', '-p', '7001']));
      await listener.printed(/[Ll]istening/, 'stderr');
      await host.ok(['rkt', 'enter', pod.uuid, 'nc', OUTSIDE.own4, '7001'], { input: 'hello\n' });
      expect((await listener.done).stderr).toContain(OUTSIDE.host4);
      const script = 'rkt stop "$$1" 2>&1; iptables -t nat -S; iptables -t raw -S';
      expect(await host.ok(['sh', '-c', script, 'sh', pod.uuid])).not.toContain('RKT-');
      await pod.running.done;
    }));

  test('the pod reaches nothing else of the host’s loopback', () =>
    withoutNftables(host, async () => {
      const pod = await serve('default', '--port=web:8070');
      const listener = host.start([
        'socat',
        'TCP-LISTEN:7072,bind=127.0.0.9,fork',
        'SYSTEM:echo host',
      ]);
      await expect
        .poll(() => host.run(ask('127.0.0.9', 7072), { input: '' }).then((r) => r.stdout))
        .toBe('host\n');
      const leader = await host.ok(['machinectl', 'show', '-p', 'Leader', '--value', pod.machine]);
      const asked = await host.run(fromLoopbackOf(leader, ask('127.0.0.9', 7072)));
      expect(asked.stdout).toBe('');
      await listener.kill('SIGTERM');
      await host.ok(['rkt', 'stop', pod.uuid]);
      await pod.running.done;
    }));

  test('of both families, and soon after a kill as well', () =>
    withoutNftables(host, async () => {
      const pod = await serve('six', '--port=web:8071');
      expect(await host.ok(outside(ask(OUTSIDE.host6, 8071)), { input: '' })).toBe('served');
      expect(await rules()).toMatch(/RKT-PFWD-DNAT-\S+ .*--to-destination \[fd41::/);
      await killAll(pod.machine);
      await pod.running.done;
      await expect.poll(rules, { timeout: PATIENCE }).not.toContain('RKT-');
      await cleared();
    }));

  test('so it is where nftables refuses the rules', () =>
    withOldNftables(host, async () => {
      const pod = await serve('default', '--port=web:8072');
      expect(await rules()).toContain(`RKT-PFWD-DNAT-${pod.uuid.slice(0, 8)}`);
      expect(await host.ok(['nft', 'list', 'tables'])).not.toContain('rkt-');
      for (const from of [ask('127.0.0.1', 8072), outside(ask(OUTSIDE.host4, 8072))])
        expect(await host.ok(from, { input: '' })).toBe('served');
      await host.ok(['rkt', 'stop', pod.uuid]);
      await pod.running.done;
      expect(await rules()).not.toContain('RKT-');
      await cleared();
    }));

  test('what both refuse is told of both', () =>
    withOldNftables(host, async () => {
      const hide = ['sh', '-ec', 'mv /usr/sbin/iptables-restore /run'];
      await host.ok(hide);
      try {
        const argv = ['rkt', 'run', '--net=default', SERVER, '--', 'true'];
        const { code, stderr } = await host.run(argv);
        expect(code).toBe(254);
        expect(stderr).toMatch(
          /cannot make the firewall's rules: nftables refused the rules: .*; iptables-restore: .*ENOENT/,
        );
      } finally {
        await host.ok(['sh', '-ec', 'mv /run/iptables-restore /usr/sbin']);
      }
      await cleared();
    }));
});
