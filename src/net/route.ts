import { readIfExists } from '../os/files.ts';

/**
 * The host's interface that the route to an address goes out by, the default route left aside;
 * undefined where there is none: proc_pid_net(5).
 */
export function interfaceTowards(address: string): string | undefined {
  const wanted = bitsOf(address);
  const routes = address.includes(':') ? routes6() : routes4();
  return routes
    .filter(({ prefix }) => prefix !== '' && wanted.startsWith(prefix))
    .sort((one, other) => other.prefix.length - one.prefix.length)[0]?.name;
}

interface Route {
  /** Of what it leads to, a character for each bit. */
  readonly prefix: string;
  readonly name: string;
}

/** /proc/net/route, whose numbers are in the order of this host's bytes. */
function routes4(): Route[] {
  return linesOf('/proc/net/route')
    .slice(1)
    .map((line) => {
      const [name = '', destination = '', , , , , , mask = ''] = line.split('\t');
      const width = binary(mask).replaceAll('0', '').length;
      const bytes = Buffer.from(destination, 'hex').reverse().toString('hex');
      return { name, prefix: binary(bytes).slice(0, width) };
    });
}

/** /proc/net/ipv6_route, with the host's own addresses, whose routes lead to the loopback. */
function routes6(): Route[] {
  return linesOf('/proc/net/ipv6_route').map((line) => {
    const [destination = '', width = '', , , , , , , , name = ''] = line.split(/\s+/);
    return { name, prefix: binary(destination).slice(0, Number.parseInt(width, 16)) };
  });
}

function linesOf(file: string): string[] {
  return (readIfExists(file) ?? '').split('\n').filter(Boolean);
}

function bitsOf(address: string): string {
  if (!address.includes(':'))
    return binary(Buffer.from(address.split('.').map(Number)).toString('hex'));
  // The URL parser writes what is embedded of IPv4 as two groups.
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const after = groups(tail ?? '');
  const zeros = Array<string>(Math.max(0, 8 - groups(head).length - after.length)).fill('0');
  return [...groups(head), ...zeros, ...after]
    .map((group) => binary(group.padStart(4, '0')))
    .join('');
}

/** Hexadecimal digits as bits. */
function binary(hex: string): string {
  return [...hex].map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, '0')).join('');
}
