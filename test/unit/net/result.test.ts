import { describe, expect, test } from 'vitest';
import { readResult } from '../../../src/net/result.ts';

describe('readResult', () => {
  test('reads what plugins of CNI 0.1.0 and 0.2.0 say', () => {
    const result = {
      ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1' },
      ip6: { ip: 'fd00::2/64' },
      dns: { nameservers: ['10.0.0.1'], search: ['example.org'] },
    };
    expect(readResult('net', '0.2.0', result)).toEqual({
      addresses: [{ cidr: '10.0.0.2/24', gateway: '10.0.0.1' }, { cidr: 'fd00::2/64' }],
      dns: { nameservers: ['10.0.0.1'], search: ['example.org'], options: [] },
    });
  });

  test('leaves the addresses of the host’s interfaces out', () => {
    const result = {
      interfaces: [{ name: 'br0' }, { name: 'eth0', sandbox: '/n' }],
      ips: [
        { interface: 0, address: '10.0.0.1/24' },
        { interface: 1, address: '10.0.0.2/24' },
      ],
    };
    expect(readResult('net', '1.0.0', result).addresses).toEqual([{ cidr: '10.0.0.2/24' }]);
  });

  test('takes a plugin that says nothing', () => {
    expect(readResult('net', '1.0.0', undefined).addresses).toEqual([]);
  });

  test.each([
    [{ ips: [{ address: 5 }] }, /bad result of a plugin: ips\.0\.address/],
    [{ ips: [{ address: '10.0.0.2' }] }, /ips\.0\.address: must be an IP address with the length/],
    [{ ips: [{ address: '10.0.0.2/33' }] }, /must be an IP address with the length/],
    [{ ips: [{ address: '10.0.0.2/24 accept\n' }] }, /must be an IP address with the length/],
    [{ ips: [{ address: '10.0.0.2/24', gateway: '10.0.0.1; drop' }] }, /must be an IP address/],
    [{ interfaces: [{ name: 'a" drop #', sandbox: '/n' }] }, /must be the name of an interface/],
    [{ dns: { nameservers: ['10.0.0.1\noptions x'] } }, /must be an IP address/],
    [{ dns: { search: ['a\nnameserver 10.6.6.6'] } }, /must be a word/],
    [{ dns: { domain: 'a b' } }, /must be a word/],
    [{ ips: 'none' }, /bad result of a plugin: ips/],
  ])('names what is wrong in %j', (result, message) => {
    expect(() => readResult('net', '1.0.0', result)).toThrow(message);
  });
});
