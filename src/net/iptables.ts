import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NetError } from './error.ts';
import { addressOf, type FirewallPlan, familyOf } from './firewall.ts';

/** In a pod's folder: it has rules to remove. */
const MARK = 'net/iptables';

/** One call of iptables(8) or ip6tables(8). */
export type IptablesCall = readonly [program: 'iptables' | 'ip6tables', ...args: string[]];

/**
 * The rules of `nftRuleset` for hosts without nftables. Nobody takes these away by himself:
 * `removeIptablesRules` does when the pod's networks are left.
 */
export function addIptablesRules(podFolder: string, plan: FirewallPlan): void {
  writeFileSync(join(podFolder, MARK), '');
  for (const call of iptablesRules(plan)) {
    const { status, stderr, error } = run(call);
    if (status === 0) continue;
    removeIptablesRules(podFolder, plan.uuid);
    throw new NetError(
      'firewall',
      `cannot make the firewall's rules: ${error?.message ?? stderr.toString().trim()}: install nftables`,
      error,
    );
  }
}

/** Each pod has a chain for what is sent to it, and one for what comes from it (surface 10.4). */
export function iptablesRules(plan: FirewallPlan): IptablesCall[] {
  const dnat = `RKT-PFWD-DNAT-${plan.uuid.slice(0, 8)}`;
  const snat = `RKT-PFWD-SNAT-${plan.uuid.slice(0, 8)}`;
  const families = new Set(
    [...plan.addresses.map(({ cidr }) => cidr), ...plan.targets].map(familyOf),
  );
  return [...families].flatMap((family) => {
    const nat = (...args: string[]): IptablesCall => [
      family === 'ip' ? 'iptables' : 'ip6tables',
      '--wait',
      '--table',
      'nat',
      ...args,
    ];
    const forwards = plan.targets
      .filter((target) => familyOf(target) === family)
      .flatMap((target) => [
        ...plan.ports.flatMap((port) => {
          const any = port.hostIP === undefined || ['0.0.0.0', '::'].includes(port.hostIP);
          if (!any && familyOf(port.hostIP ?? '') !== family) return [];
          const address = family === 'ip' ? addressOf(target) : `[${addressOf(target)}]`;
          return Array.from({ length: port.count }, (_, index) =>
            nat(
              '--append',
              dnat,
              '--protocol',
              port.protocol,
              '--dport',
              String(port.hostPort + index),
              ...(any ? [] : ['--destination', port.hostIP ?? '']),
              '--jump',
              'DNAT',
              '--to-destination',
              `${address}:${port.podPort + index}`,
            ),
          );
        }),
        ...(family === 'ip'
          ? [
              nat(
                '--append',
                snat,
                '--source',
                '127.0.0.0/8',
                '--destination',
                addressOf(target),
                '--jump',
                'MASQUERADE',
              ),
            ]
          : []),
        nat(
          '--append',
          snat,
          '--source',
          target,
          '--destination',
          addressOf(target),
          '--match',
          'conntrack',
          '--ctstate',
          'DNAT',
          '--jump',
          'MASQUERADE',
        ),
      ]);
    const multicast = family === 'ip' ? '224.0.0.0/4' : 'ff00::/8';
    const masquerades = plan.addresses
      .filter(({ cidr, masquerade }) => masquerade && familyOf(cidr) === family)
      .flatMap(({ cidr }) => [
        nat(
          '--append',
          snat,
          '--source',
          addressOf(cidr),
          '--destination',
          cidr,
          '--jump',
          'RETURN',
        ),
        nat(
          '--append',
          snat,
          '--source',
          addressOf(cidr),
          '!',
          '--destination',
          multicast,
          '--jump',
          'MASQUERADE',
        ),
      ]);
    const local = ['--match', 'addrtype', '--dst-type', 'LOCAL'];
    return [
      nat('--new-chain', dnat),
      nat('--new-chain', snat),
      ...forwards,
      ...masquerades,
      nat('--insert', 'PREROUTING', ...local, '--jump', dnat),
      nat('--insert', 'OUTPUT', ...local, '--jump', dnat),
      nat('--insert', 'POSTROUTING', '--jump', snat),
    ];
  });
}

/** Removes the rules of a pod, as far as there are any. */
export function removeIptablesRules(podFolder: string, uuid: string): void {
  const mark = join(podFolder, MARK);
  if (!existsSync(mark)) return;
  const dnat = `RKT-PFWD-DNAT-${uuid.slice(0, 8)}`;
  const snat = `RKT-PFWD-SNAT-${uuid.slice(0, 8)}`;
  for (const program of ['iptables', 'ip6tables'] as const) {
    const nat = (...args: string[]) =>
      run([program, '--wait', '--table', 'nat', ...args]).status === 0;
    if (!nat('--list', dnat)) continue;
    const local = ['--match', 'addrtype', '--dst-type', 'LOCAL'];
    nat('--delete', 'PREROUTING', ...local, '--jump', dnat);
    nat('--delete', 'OUTPUT', ...local, '--jump', dnat);
    nat('--delete', 'POSTROUTING', '--jump', snat);
    for (const chain of [dnat, snat]) {
      nat('--flush', chain);
      nat('--delete-chain', chain);
    }
  }
  rmSync(mark);
}

function run([program, ...args]: IptablesCall) {
  return spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
