import { isIPAddress } from '../appc/index.ts';
import { flagError } from './error.ts';
import type { Flags } from './flags.ts';

/** A network to join; `args` goes to the plugins as CNI_ARGS. */
export interface NetworkChoice {
  readonly name: string;
  readonly args?: string;
}

/** The pod's resolv.conf: the host's, none at all, or one made from the flags. */
export type ResolverChoice =
  | { readonly kind: 'host' }
  | { readonly kind: 'none' }
  | {
      readonly kind: 'made';
      readonly nameservers: readonly string[];
      readonly search: readonly string[];
      readonly options: readonly string[];
      readonly domain?: string;
    };

/** The pod's hosts file: the host's, or one with these entries. */
export type HostsChoice =
  | { readonly kind: 'host' }
  | {
      readonly kind: 'made';
      readonly entries: readonly { readonly address: string; readonly names: readonly string[] }[];
    };

/** These leave no room for another network. */
const alone = ['none', 'host'];

/** The networks of every `--net`, in order: `NAME[:ARGS],...`, with ARGS as `K=V;K=V...`. */
export function parseNetworks(flags: Flags): NetworkChoice[] {
  const networks = commaList(flags, 'net').map(parseNetwork);
  networks.forEach(({ name }, at) => {
    if (networks.findIndex((other) => other.name === name) < at)
      throw flagError('net', `found duplicate netname "${name}"`);
    if (alone.includes(name) && networks.length > 1)
      throw flagError('net', `"${name}" cannot be combined with other networks`);
  });
  return networks;
}

function parseNetwork(text: string): NetworkChoice {
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  if (name === '') throw flagError('net', 'netname must not be empty');
  if (colon < 0) return { name };
  if (name === 'all' || alone.includes(name))
    throw flagError('net', `arguments are not supported by network "${name}"`);
  const args = text.slice(colon + 1);
  if (!args.split(';').every((pair) => /^[^=]+=/.test(pair)))
    throw flagError(
      'net',
      `network "${name}" provided with invalid arguments "${args}", must be KEY=VALUE;...`,
    );
  return { name, args };
}

/** What `--dns` and its companions ask for; undefined without any of them. */
export function parseResolver(flags: Flags): ResolverChoice | undefined {
  const dns = commaList(flags, 'dns');
  const search = flags.values('dns-search');
  const options = flags.values('dns-opt');
  const domain = flags.value('dns-domain');
  const kind = dns.find((word) => word === 'host' || word === 'none');
  const companions = search.length > 0 || options.length > 0 || domain !== undefined;
  if (kind) {
    if (dns.length > 1 || companions)
      throw flagError('dns', `no other --dns options allowed when --dns=${kind} is passed`);
    return { kind: kind === 'host' ? 'host' : 'none' };
  }
  if (dns.length === 0 && !companions) return undefined;
  for (const address of dns)
    if (!isIPAddress(address)) throw flagError('dns', `invalid IP "${address}"`);
  return {
    kind: 'made',
    nameservers: dns,
    search,
    options,
    ...(domain === undefined ? {} : { domain }),
  };
}

/** What `--hosts-entry` asks for; undefined without it. An address gathers all its names. */
export function parseHosts(flags: Flags): HostsChoice | undefined {
  const words = commaList(flags, 'hosts-entry');
  if (words.length === 0) return undefined;
  if (words.includes('host')) {
    if (words.length > 1)
      throw flagError('hosts-entry', 'cannot combine "host" with other entries');
    return { kind: 'host' };
  }
  const entries = new Map<string, string[]>();
  for (const word of words) {
    const [, address, name] = /^([^=]*)=([^=\s]+)$/.exec(word) ?? [];
    if (address === undefined || name === undefined)
      throw flagError('hosts-entry', `did not understand "${word}", must be IP=NAME`);
    if (!isIPAddress(address)) throw flagError('hosts-entry', `invalid IP "${address}"`);
    const names = entries.get(address);
    if (names) names.push(name);
    else entries.set(address, [name]);
  }
  return {
    kind: 'made',
    entries: [...entries].map(([address, names]) => ({ address, names })),
  };
}

/** Every word of a flag that is repeatable and takes lists. */
function commaList(flags: Flags, name: string): string[] {
  return flags.values(name).flatMap((value) => value.split(','));
}
