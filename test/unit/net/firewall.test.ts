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

test('iptablesRules names the chains after the pod', () => {
  const words = iptablesRules(plan).map((call) => call.join(' '));
  expect(words).toContain('iptables --wait --table nat --new-chain RKT-PFWD-DNAT-11111111');
  expect(words.some((call) => call.includes('--to-destination 10.0.0.2:81'))).toBe(true);
});
