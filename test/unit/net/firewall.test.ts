import { describe, expect, test } from 'vitest';
import { type FirewallPlan, nftRuleset } from '../../../src/net/firewall.ts';
import { iptablesRules } from '../../../src/net/iptables.ts';

const plan: FirewallPlan = {
  uuid: '11111111-2222-3333-4444-555555555555',
  addresses: [
    { cidr: '10.0.0.2/24', masquerade: true },
    { cidr: 'fd00::2/64', masquerade: false },
  ],
  targets: ['10.0.0.2/24', 'fd00::2/64'],
  ports: [{ name: 'web', protocol: 'tcp', hostPort: 8080, podPort: 80, count: 2 }],
  hostInterfaces: ['veth0'],
};

describe('nftRuleset', () => {
  test('refuses an interface whose name would end its quotes', () => {
    expect(() => nftRuleset({ ...plan, hostInterfaces: ['a"accept'] })).toThrow(/rename it/);
  });

  test('leads each port of a range to its own, in both families', () => {
    const rules = nftRuleset(plan);
    expect(rules).toContain('tcp dport 8081 dnat ip to 10.0.0.2:81');
    expect(rules).toContain('tcp dport 8081 dnat ip6 to [fd00::2]:81');
  });

  test('leads a port of one address only to that family', () => {
    const port = {
      name: 'web',
      protocol: 'tcp',
      hostIP: '192.0.2.1',
      hostPort: 1,
      podPort: 2,
      count: 1,
    };
    const rules = nftRuleset({ ...plan, ports: [port] });
    expect(rules).toContain('ip daddr 192.0.2.1 tcp dport 1 dnat ip to 10.0.0.2:2');
    expect(rules).not.toContain('dnat ip6 to');
  });

  test('masquerades only what asks for it and leaves the network', () => {
    const rules = nftRuleset(plan);
    expect(rules).toContain(
      'ip saddr 10.0.0.2 ip daddr != { 10.0.0.2/24, 224.0.0.0/4 } masquerade',
    );
    expect(rules).not.toContain('ip6 saddr fd00::2 ip6 daddr !=');
  });

  test('keeps the pod from the host’s loopback, which a port opens', () => {
    expect(nftRuleset(plan)).toContain('iifname "veth0" ip daddr 127.0.0.0/8 drop');
    expect(nftRuleset({ ...plan, ports: [] })).not.toContain('iifname');
  });

  test('belongs to who makes it', () => {
    expect(nftRuleset(plan)).toMatch(/^table inet rkt-11111111-.* \{\n {2}flags owner\n/);
  });
});

describe('iptablesRules', () => {
  const inputs = (more: Partial<FirewallPlan> = {}) =>
    iptablesRules({ ...plan, ...more }).map(({ program, input }) => `${program}\n${input}`);

  test('names the chains after the pod, and leads each port of a range to its own', () => {
    const [, ip4 = '', ip6 = ''] = inputs();
    expect(ip4).toMatch(/^iptables-restore\n\*nat\n:RKT-PFWD-DNAT-11111111 - \[0:0\]\n/);
    expect(ip4).toContain('--dport 8081 -j DNAT --to-destination 10.0.0.2:81\n');
    expect(ip6).toMatch(/^ip6tables-restore\n\*nat\n/);
    expect(ip6).toContain('--dport 8081 -j DNAT --to-destination [fd00::2]:81\n');
  });

  test('keeps the pod from the host’s loopback before anything opens it', () => {
    const guard = '-A RKT-GUARD-11111111 -i "veth0" -d 127.0.0.0/8 -j DROP';
    expect(inputs()[0]).toMatch(/^iptables-restore\n\*raw\n/);
    expect(inputs()[0]).toContain(guard);
    expect(inputs({ ports: [] }).join()).not.toContain('*raw');
    const metadata = { address: '169.254.169.255', port: 18112 };
    expect(inputs({ ports: [], metadata })[0]).toContain(guard);
  });

  test('leads the pod alone to the metadata service', () => {
    const metadata = { address: '169.254.169.255', port: 18112 };
    expect(inputs({ ports: [], metadata })[1]).toContain(
      '-s 10.0.0.2 -d 169.254.169.255 -p tcp --dport 80 -j DNAT --to-destination 127.0.0.1:18112\n',
    );
  });
});
