import * as z from 'zod/mini';
import { NetError } from './error.ts';
import { newResult, oldResult, type PluginDns } from './schema.ts';
import type { Address, AttachmentResult, NetworkDns } from './types.ts';

/**
 * The addresses and resolvers in what the last plugin of a chain printed, in any version of CNI.
 *
 * @throws NetError `bad-result` naming the field
 */
export function readResult(network: string, version: string, result: unknown): AttachmentResult {
  if (result === undefined || result === null) return { addresses: [], dns: dnsOf(undefined) };
  if (/^0\.[12]\./.test(version)) {
    const { ip4, ip6, dns } = checked(oldResult, network, result);
    const found = [ip4, ip6].flatMap((each) => (each ? [address(each.ip, each.gateway)] : []));
    return { addresses: found, dns: dnsOf(dns) };
  }
  const { interfaces, ips, dns } = checked(newResult, network, result);
  // Without a sandbox an interface is on the host's side.
  const inPod = (index: number | null | undefined) =>
    index === undefined || index === null || Boolean(interfaces?.[index]?.sandbox);
  const addresses = (ips ?? [])
    .filter((each) => inPod(each.interface))
    .map((each) => address(each.address, each.gateway));
  return { addresses, dns: dnsOf(dns) };
}

function address(cidr: string, gateway: string | undefined): Address {
  return gateway ? { cidr, gateway } : { cidr };
}

function dnsOf(dns: PluginDns | undefined): NetworkDns {
  return {
    nameservers: dns?.nameservers ?? [],
    search: dns?.search ?? [],
    options: dns?.options ?? [],
    ...(dns?.domain ? { domain: dns.domain } : {}),
  };
}

function checked<Schema extends z.ZodMiniType>(
  schema: Schema,
  network: string,
  value: unknown,
): z.output<Schema> {
  const parsed = z.safeParse(schema, value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new NetError(
    'bad-result',
    `cannot join network "${network}": bad result of a plugin: ${issue?.path.join('.') || 'the whole'}: ${issue?.message}`,
    parsed.error,
  );
}
