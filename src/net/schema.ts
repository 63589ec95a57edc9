import * as z from 'zod/mini';
import { isIPAddress } from '../appc/names.ts';

/** What CNI plugins and their configuration may say (CNI specification 0.1.0 to 1.1.0). */

const text = z.string('must be a string');
const dns = z.object({
  nameservers: z.optional(z.array(text)),
  domain: z.optional(text),
  search: z.optional(z.array(text)),
  options: z.optional(z.array(text)),
});

const route = z.object({ dst: text, gw: z.optional(text) });

const plugin = {
  type: text.check(z.regex(/^[^/]+$/, 'must be the name of a plugin, without a slash')),
  ipMasq: z.optional(z.boolean('must be true or false')),
  capabilities: z.optional(z.record(z.string(), z.boolean('must be true or false'))),
  dns: z.optional(dns),
};

/** One plugin's configuration. What only the plugin understands passes through. */
const pluginConfig = z.looseObject(plugin, 'must be an object');

const cniVersion = z.optional(
  text.check(z.regex(/^\d+\.\d+\.\d+$/, 'must be a version such as 1.0.0')),
);
const networkName = text.check(
  z.regex(
    /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/,
    'must begin with a letter or digit, and have only these and _ . - after it',
  ),
);

export const singleConfig = z.looseObject(
  { ...plugin, cniVersion, name: networkName },
  'must be an object',
);

export const listConfig = z.looseObject(
  {
    cniVersion,
    name: networkName,
    disableCheck: z.optional(z.boolean('must be true or false')),
    disableGC: z.optional(z.boolean('must be true or false')),
    plugins: z
      .array(pluginConfig, 'must be a list of plugins')
      .check(z.minLength(1, 'must name at least one plugin')),
  },
  'must be an object',
);

/**
 * What plugins answer ends up in rules of the firewall, command lines and resolv.conf(5), and some of
 * it comes from servers on the network (DHCP): it must be what it says it is, and a single word.
 */
const ipAddress = text.check(z.refine(isIPAddress, 'must be an IP address'));
const cidr = text.check(z.refine(isCidr, 'must be an IP address with the length of its prefix'));
const word = text.check(z.regex(/^[^\s\p{Cc}]+$/u, 'must be a word'));

/** dev_valid_name of the kernel, less what would need quotes. */
const interfaceName = text.check(
  z.regex(/^[^\s\p{Cc}/:"\\]{1,15}$/u, 'must be the name of an interface'),
);

function isCidr(value: string): boolean {
  const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(value) ?? [];
  return isIPAddress(address) && Number(bits) <= (address.includes(':') ? 128 : 32);
}

const dnsResult = z.object({
  nameservers: z.optional(z.array(ipAddress)),
  // Plugins without a domain print the empty string.
  domain: z.optional(z.union([z.literal(''), word])),
  search: z.optional(z.array(word)),
  options: z.optional(z.array(word)),
});

const addresses = z.object({
  ip: cidr,
  gateway: z.optional(ipAddress),
  routes: z.optional(z.nullable(z.array(route))),
});

/** A result of CNI 0.1.0 and 0.2.0. */
export const oldResult = z.object({
  ip4: z.optional(addresses),
  ip6: z.optional(addresses),
  dns: z.optional(dnsResult),
});

/** A result of CNI 0.3.0 and later. */
export const newResult = z.object({
  interfaces: z.optional(
    z.nullable(z.array(z.object({ name: interfaceName, sandbox: z.optional(text) }))),
  ),
  ips: z.optional(
    z.nullable(
      z.array(
        z.object({
          interface: z.optional(z.nullable(z.number())),
          address: cidr,
          gateway: z.optional(ipAddress),
        }),
      ),
    ),
  ),
  routes: z.optional(z.nullable(z.array(route))),
  dns: z.optional(dnsResult),
});

export const pluginFailure = z.object({
  code: z.number(),
  msg: z.string(),
  details: z.optional(z.string()),
});

export type PluginConfig = z.infer<typeof pluginConfig>;
export type PluginDns = z.infer<typeof dnsResult>;
