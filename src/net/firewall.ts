import type { ForwardedPort } from '../appc/ports.ts';
import { NetError } from './error.ts';

/** A pod's address in a network, as the firewall sees it. */
export interface PodAddress {
  /** In CIDR notation. */
  readonly cidr: string;
  /** What the pod sends beyond the network leaves the host under the host's address. */
  readonly masquerade: boolean;
}

/** A service that listens on the host's loopback, and the address by which the pod knows it. */
export interface HostService {
  readonly address: string;
  readonly port: number;
}

export interface FirewallPlan {
  readonly uuid: string;
  readonly addresses: readonly PodAddress[];
  /** The addresses that ports lead to, at most one of each family, in CIDR notation. */
  readonly targets: readonly string[];
  readonly ports: readonly ForwardedPort[];
  readonly metadata?: HostService;
  /** The host's ends of the network that ports lead to, as far as it has IPv4. */
  readonly hostInterfaces: readonly string[];
}

/**
 * The nft(8) ruleset of a pod: one table, which the kernel removes with the socket that owns it.
 * Ports lead to the pod for who comes from elsewhere (prerouting) and from the host itself (output).
 */
export function nftRuleset(plan: FirewallPlan): string {
  const forwards = plan.ports.flatMap((port) =>
    plan.targets.flatMap((target) => portRules(port, target)),
  );
  const local = plan.ports.length > 0 ? plan.targets.flatMap(returnRules) : [];
  const guards =
    plan.ports.length > 0 || plan.metadata
      ? plan.hostInterfaces.map((name) => `iifname ${quoted(name)} ip daddr 127.0.0.0/8 drop`)
      : [];
  const services = plan.targets.flatMap((target) => serviceRules(plan.metadata, target));
  return `table inet rkt-${plan.uuid} {
  flags owner
${chain('prerouting', 'nat hook prerouting priority -105', [...services, ...forwards])}
${chain('output', 'nat hook output priority -105', forwards)}
${chain('postrouting', 'nat hook postrouting priority 95', [...local, ...plan.addresses.flatMap(masqueradeRules)])}
${chain('guard', 'filter hook prerouting priority -300', guards)}
}
`;
}

function chain(name: string, hook: string, rules: readonly string[]): string {
  const lines = [`type ${hook}`, ...rules].map((line) => `    ${line}\n`);
  return `  chain ${name} {\n${lines.join('')}  }`;
}

function serviceRules(service: HostService | undefined, target: string): string[] {
  if (!service || familyOf(target) !== 'ip') return [];
  return [
    `ip saddr ${addressOf(target)} ip daddr ${service.address} tcp dport 80 dnat ip to 127.0.0.1:${service.port}`,
  ];
}

function portRules(port: ForwardedPort, target: string): string[] {
  const family = familyOf(target);
  const { hostIP } = port;
  const any = isAnyAddress(hostIP);
  if (!any && familyOf(hostIP) !== family) return [];
  const to = any
    ? `meta nfproto ${family === 'ip' ? 'ipv4' : 'ipv6'} fib daddr type local`
    : `${family} daddr ${hostIP}`;
  const address = family === 'ip' ? addressOf(target) : `[${addressOf(target)}]`;
  const each = Array.from({ length: port.count }, (_, index) => index);
  return each.map(
    (index) =>
      `${to} ${port.protocol} dport ${port.hostPort + index} dnat ${family} to ${address}:${port.podPort + index}`,
  );
}

/**
 * Answers must come back through the host: to connections from the loopback, whose address means
 * something else in the pod, and to those from the pod's own network, which it would answer directly.
 */
function returnRules(target: string): string[] {
  const family = familyOf(target);
  const address = addressOf(target);
  const loopback = family === 'ip' ? '127.0.0.0/8' : '::1';
  return [
    `${family} saddr ${loopback} ${family} daddr ${address} masquerade`,
    `ct status dnat ${family} saddr ${target} ${family} daddr ${address} masquerade`,
  ];
}

function masqueradeRules({ cidr, masquerade }: PodAddress): string[] {
  if (!masquerade) return [];
  const family = familyOf(cidr);
  const multicast = family === 'ip' ? '224.0.0.0/4' : 'ff00::/8';
  return [
    `${family} saddr ${addressOf(cidr)} ${family} daddr != { ${cidr}, ${multicast} } masquerade`,
  ];
}

/** An interface's name in a ruleset, which knows no escapes: the kernel takes almost any character. */
export function quoted(name: string): string {
  if (!/["\\]|\p{Cc}/u.test(name)) return `"${name}"`;
  throw new NetError('firewall', `cannot guard the interface ${JSON.stringify(name)}: rename it`);
}

/** Whether a port is to be reached by every address of the host. */
export function isAnyAddress(address: string | undefined): address is undefined | '0.0.0.0' | '::' {
  return address === undefined || address === '0.0.0.0' || address === '::';
}

/** The family of an address, as nft(8) calls it. */
export function familyOf(address: string): 'ip' | 'ip6' {
  return address.includes(':') ? 'ip6' : 'ip';
}

/** The address in `ADDRESS/PREFIX`. */
export function addressOf(cidr: string): string {
  return cidr.split('/', 1)[0] ?? cidr;
}
