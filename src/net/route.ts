import { readIfExists } from '../os/files.ts';

/**
 * The host's interface that the route to an IPv4 address goes out by, the default route left aside;
 * undefined where there is none: proc_pid_net(5), /proc/net/route.
 */
export function interfaceTowards(address: string): string | undefined {
  if (address.includes(':')) return undefined;
  const wanted = Buffer.from(address.split('.').map(Number)).readUInt32LE();
  const routes = (readIfExists('/proc/net/route') ?? '')
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [name = '', destination = '', , , , , , mask = ''] = line.split('\t');
      const bits = Number.parseInt(mask, 16);
      const matches = (wanted & bits) >>> 0 === Number.parseInt(destination, 16);
      return matches && bits !== 0 ? [{ name, width: width(bits) }] : [];
    });
  return routes.sort((one, other) => other.width - one.width)[0]?.name;
}

/** How many bits of a mask are set. */
function width(mask: number): number {
  return mask.toString(2).replaceAll('0', '').length;
}
