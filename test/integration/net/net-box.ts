import type { Host } from '../../lib/host.ts';
import type { ImageSpec } from '../pods/image.ts';
import { BOX } from '../pods/image.ts';

/** An image with ports, in each of which a test may put a server. */
export const SERVER = 'example.org/server';
export const server: ImageSpec = {
  name: SERVER,
  app: {
    ports: [
      { name: 'web', protocol: 'tcp', port: 80 },
      { name: 'many', protocol: 'tcp', port: 90, count: 3 },
      { name: 'time', protocol: 'udp', port: 37 },
    ],
  },
};

/** Serves a word on a port to everybody who asks; it is ready when the port is open: proc_net(5). */
export function serving(port: number): string {
  const open = `:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F]*:0000 0A `;
  return `nc -ll -p ${port} -e echo served &
    until grep -qs '${open}' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done; echo ready; wait`;
}
export const WHO: string = serving(80);

/** Runs one command in a pod and gives what it prints. */
export function inPod(
  host: Host,
  net: string,
  script: string,
  ...flags: string[]
): Promise<string> {
  return host.ok(['rkt', 'run', `--net=${net}`, ...flags, BOX, '--', script]);
}

/** A pod's addresses in its first network, as `rkt status` tells them. */
export async function addressesOf(host: Host, uuid: string): Promise<{ ip4: string; ip6: string }> {
  const status = await host.ok(['rkt', 'status', uuid]);
  const address = (family: string) => new RegExp(`${family}=([0-9a-f.:]+)`).exec(status)?.[1];
  return { ip4: address('ip4') ?? status, ip6: address('ip6') ?? status };
}

/** What says on a connection what the other side sends. */
export function ask(address: string, port: number, ...more: string[]): string[] {
  return ['timeout', '30', 'nc', '-w', '3', ...more, address, String(port)];
}

/** Asks by a packet for the host's loopback that comes from a pod: what one with CAP_NET_ADMIN could send. */
export function fromLoopbackOf(leader: string, argv: readonly string[]): string[] {
  const script = `echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet
    ip route del local 127.0.0.0/8 table local
    ip route add 127.0.0.0/8 via "$(ip route show default | cut -d ' ' -f 3)"
    exec "$@" < /dev/null`.replaceAll('$', '$$$$');
  return ['nsenter', '--net', `--target=${leader}`, 'sh', '-ec', script, 'sh', ...argv];
}
