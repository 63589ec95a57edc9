import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ForwardedPort } from '../appc/ports.ts';
import { NetError } from './error.ts';
import { addressOf, type FirewallPlan, familyOf, isAnyAddress, quoted } from './firewall.ts';

/** In a pod's folder: it has rules to remove. */
const MARK = 'net/iptables';

type Family = 'ip' | 'ip6';

/** Changes to one table, which are made all or not at all. */
export interface TableChange {
  readonly program: 'iptables-restore' | 'ip6tables-restore';
  /** What the program reads: iptables-save(8)'s format. */
  readonly input: string;
}

/**
 * The rules of `nftRuleset` for hosts without nftables. Nobody takes these away by himself:
 * `removeIptablesRules` does when the pod has ended.
 *
 * @param refused why nftables did not take the rules, where there is one
 */
export function addIptablesRules(podFolder: string, plan: FirewallPlan, refused?: Error): void {
  writeFileSync(join(podFolder, MARK), '');
  for (const change of iptablesRules(plan)) {
    const { status, stderr, error } = run(change);
    if (status === 0) continue;
    removeIptablesRules(podFolder, plan.uuid);
    const [why = ''] = (error?.message ?? stderr.toString().trim()).split('\n');
    throw new NetError(
      'firewall',
      refused
        ? `cannot make the firewall's rules: ${refused.message}; ${change.program}: ${why}`
        : `cannot make the firewall's rules: ${why}: install nftables`,
      error ?? refused,
    );
  }
}

/** Each pod has chains for what is sent to it, for what comes from it (surface 10.4), and what guards the host. */
export function iptablesRules(plan: FirewallPlan): TableChange[] {
  const { dnat, snat, guard } = chainsOf(plan.uuid);
  const used = [...plan.addresses.map(({ cidr }) => cidr), ...plan.targets].map(familyOf);
  const nat = [...new Set(used)].map((family) => {
    const own = plan.targets.filter((target) => familyOf(target) === family);
    const rules = [
      ...own.flatMap((target) => serviceRules(plan, target).map((rule) => `-A ${dnat} ${rule}`)),
      ...own.flatMap((target) =>
        plan.ports.flatMap((port) => portRules(port, target).map((rule) => `-A ${dnat} ${rule}`)),
      ),
      ...(plan.ports.length > 0
        ? own.flatMap(returnRules).map((rule) => `-A ${snat} ${rule}`)
        : []),
      ...masqueradeRules(plan, family).map((rule) => `-A ${snat} ${rule}`),
    ];
    return newChains(family, 'nat', [dnat, snat], rules, [
      `PREROUTING -j ${dnat}`,
      `OUTPUT -j ${dnat}`,
      `POSTROUTING -j ${snat}`,
    ]);
  });
  if (plan.ports.length === 0 && !plan.metadata) return nat;
  const drops = plan.hostInterfaces.map(
    (name) => `-A ${guard} -i ${quoted(name)} -d 127.0.0.0/8 -j DROP`,
  );
  return [newChains('ip', 'raw', [guard], drops, [`PREROUTING -j ${guard}`]), ...nat];
}

function newChains(
  family: Family,
  table: string,
  chains: readonly string[],
  rules: readonly string[],
  jumps: readonly string[],
): TableChange {
  const made = chains.map((chain) => `:${chain} - [0:0]`);
  return change(family, table, [...made, ...rules, ...jumps.map((jump) => `-I ${jump}`)]);
}

function change(family: Family, table: string, lines: readonly string[]): TableChange {
  return {
    program: family === 'ip' ? 'iptables-restore' : 'ip6tables-restore',
    input: [`*${table}`, ...lines, 'COMMIT', ''].join('\n'),
  };
}

function serviceRules({ metadata }: FirewallPlan, target: string): string[] {
  if (!metadata || familyOf(target) !== 'ip') return [];
  return [
    `-s ${addressOf(target)} -d ${metadata.address} -p tcp --dport 80 -j DNAT --to-destination 127.0.0.1:${metadata.port}`,
  ];
}

function portRules({ hostIP, protocol, hostPort, podPort, count }: ForwardedPort, target: string) {
  const family = familyOf(target);
  const any = isAnyAddress(hostIP);
  if (!any && familyOf(hostIP) !== family) return [];
  const to = any ? '-m addrtype --dst-type LOCAL' : `-d ${hostIP}`;
  const address = family === 'ip' ? addressOf(target) : `[${addressOf(target)}]`;
  return Array.from(
    { length: count },
    (_, index) =>
      `${to} -p ${protocol} --dport ${hostPort + index} -j DNAT --to-destination ${address}:${podPort + index}`,
  );
}

function returnRules(target: string): string[] {
  const loopback = familyOf(target) === 'ip' ? '127.0.0.0/8' : '::1';
  return [
    `-s ${loopback} -d ${addressOf(target)} -j MASQUERADE`,
    `-s ${target} -d ${addressOf(target)} -m conntrack --ctstate DNAT -j MASQUERADE`,
  ];
}

function masqueradeRules({ addresses }: FirewallPlan, family: Family): string[] {
  const multicast = family === 'ip' ? '224.0.0.0/4' : 'ff00::/8';
  return addresses
    .filter(({ cidr, masquerade }) => masquerade && familyOf(cidr) === family)
    .flatMap(({ cidr }) => [
      `-s ${addressOf(cidr)} -d ${cidr} -j RETURN`,
      `-s ${addressOf(cidr)} ! -d ${multicast} -j MASQUERADE`,
    ]);
}

/** Removes the rules of a pod, as far as there are any. */
export function removeIptablesRules(podFolder: string, uuid: string): void {
  const mark = join(podFolder, MARK);
  if (!existsSync(mark)) return;
  const { dnat, snat, guard } = chainsOf(uuid);
  const jumps = [`PREROUTING -j ${dnat}`, `OUTPUT -j ${dnat}`, `POSTROUTING -j ${snat}`];
  // It fails where there is nothing to remove, or somebody else has just done it.
  for (const one of [
    withoutChains('ip', 'nat', [dnat, snat], jumps),
    withoutChains('ip6', 'nat', [dnat, snat], jumps),
    withoutChains('ip', 'raw', [guard], [`PREROUTING -j ${guard}`]),
  ])
    run(one);
  rmSync(mark, { force: true });
}

function withoutChains(
  family: Family,
  table: string,
  chains: readonly string[],
  jumps: readonly string[],
): TableChange {
  const cut = jumps.map((jump) => `-D ${jump}`);
  const empty = chains.map((chain) => `-F ${chain}`);
  const gone = chains.map((chain) => `-X ${chain}`);
  return change(family, table, [...cut, ...empty, ...gone]);
}

function chainsOf(uuid: string) {
  const id = uuid.slice(0, 8);
  return { dnat: `RKT-PFWD-DNAT-${id}`, snat: `RKT-PFWD-SNAT-${id}`, guard: `RKT-GUARD-${id}` };
}

function run({ program, input }: TableChange) {
  const stdio: ['pipe', 'ignore', 'pipe'] = ['pipe', 'ignore', 'pipe'];
  return spawnSync(program, ['--wait', '--noflush'], { input, stdio });
}
