import { beforeAll } from 'vitest';
import type { Host } from '../../lib/host.ts';

/** A second machine beside the host: a network namespace that a veth leads to. */
export const OUTSIDE = { host4: '10.9.0.1', own4: '10.9.0.2', host6: 'fd09::1', own6: 'fd09::2' };

/** Makes the second machine. It knows the host, and no way to any pod. */
export function makeOutside(host: Host): void {
  beforeAll(async () => {
    await host.ok([
      'sh',
      '-ec',
      `ip netns add outside
      ip link add out0 type veth peer name out1 netns outside
      ip addr add ${OUTSIDE.host4}/24 dev out0
      ip addr add ${OUTSIDE.host6}/64 dev out0 nodad
      ip link set out0 up
      ip -n outside addr add ${OUTSIDE.own4}/24 dev out1
      ip -n outside addr add ${OUTSIDE.own6}/64 dev out1 nodad
      ip -n outside link set lo up
      ip -n outside link set out1 up
      sysctl -q net.ipv6.conf.all.forwarding=1`,
    ]);
  });
}

/** Runs a command on the second machine. */
export function outside(argv: readonly string[]): string[] {
  return ['ip', 'netns', 'exec', 'outside', ...argv];
}

/** A network of the host: its file in net.d. */
export async function defineNetwork(host: Host, file: string, config: unknown): Promise<void> {
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  await host.writeFile(`/etc/rkt/net.d/${file}`, text);
}

/** Does something on a host that has no libnftables meanwhile, so that rkt falls back to iptables. */
export async function withoutNftables(host: Host, action: () => Promise<void>): Promise<void> {
  const libraries = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  const hide = `mkdir -p /run/hidden; mv ${libraries}/libnftables.so.1* /run/hidden`;
  await host.ok(['sh', '-ec', hide]);
  try {
    await action();
  } finally {
    await host.ok(['sh', '-ec', `mv /run/hidden/* ${libraries}`]);
  }
}

/** The same on a host whose libnftables is of before 0.9.9: it knows no tables that somebody owns. */
export async function withOldNftables(host: Host, action: () => Promise<void>): Promise<void> {
  const libraries = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  // All that the newer one does about it is to know the word.
  const age = String.raw`cp -a ${libraries}/libnftables.so.1 /run/libnftables.link
    library=$$(readlink -f ${libraries}/libnftables.so.1); cp "$$library" /run/libnftables.new
    sed 's/\x00owner\x00/\x00OWNER\x00/' /run/libnftables.new > /run/libnftables.old
    ! cmp -s /run/libnftables.new /run/libnftables.old
    ln -sfn /run/libnftables.old ${libraries}/libnftables.so.1`;
  await host.ok(['sh', '-ec', age]);
  try {
    await action();
  } finally {
    await host.ok(['sh', '-ec', `mv -T /run/libnftables.link ${libraries}/libnftables.so.1`]);
  }
}

/** What networks leave on a host: links, leases, rules. */
export async function networkTraces(host: Host): Promise<string> {
  const script = `
    ip -o link | grep -v -e ': lo:' -e ': out0' -e ' br-' -e ': lan' | cut -d: -f2
    find /var/lib/cni/networks -name '*.*.*.*' 2>/dev/null
    nft list tables | grep rkt
    iptables -t nat -S | grep -i rkt
    ls /run/netns | grep -v '^outside$'
    true`;
  return (await host.exec(['sh', '-c', script])).stdout;
}
