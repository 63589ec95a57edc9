import { readIfExists } from '../os/files.ts';
import type { NetworkDns } from './types.ts';

/** A resolv.conf(5) of what a network's plugins say. */
export function resolverText(dns: NetworkDns): string {
  const lines = [
    dns.search.length > 0 ? `search ${dns.search.join(' ')}` : '',
    ...dns.nameservers.map((address) => `nameserver ${address}`),
    dns.options.length > 0 ? `options ${dns.options.join(' ')}` : '',
    dns.domain ? `domain ${dns.domain}` : '',
  ];
  return lines
    .filter(Boolean)
    .map((line) => `${line}\n`)
    .join('');
}

/**
 * The host's resolv.conf(5) for a network namespace of its own: without resolvers on the host's
 * loopback. Where systemd-resolved is the only one, what it asks is named in a file of its.
 */
export function usableResolvers(): string {
  const own = withoutLoopback(readIfExists('/etc/resolv.conf') ?? '');
  if (hasResolver(own)) return own;
  return withoutLoopback(readIfExists('/run/systemd/resolve/resolv.conf') ?? '');
}

/** Whether a resolv.conf(5) names any resolver. */
export function hasResolver(text: string): boolean {
  return /^\s*nameserver\s/m.test(text);
}

function withoutLoopback(text: string): string {
  return text.replace(/^\s*nameserver\s+(127\.|::1\b).*\n?/gm, '');
}
