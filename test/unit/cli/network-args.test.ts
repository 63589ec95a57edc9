import { describe, expect, it } from 'vitest';
import { parseHosts, parseNetworks, parseResolver } from '../../../src/cli/network-args.ts';
import { contextOf } from './helpers.ts';

const flags = (...argv: string[]) => contextOf('run', argv).flags;

describe('--net', () => {
  const networks = (...argv: string[]) => parseNetworks(flags(...argv));

  it('means default when absent or bare', () => {
    expect(networks()).toEqual([{ name: 'default' }]);
    expect(networks('--net')).toEqual([{ name: 'default' }]);
  });
  it('gathers lists and occurrences', () => {
    expect(networks('--net=net1,net2')).toEqual([{ name: 'net1' }, { name: 'net2' }]);
    expect(networks('--net', '--net=foo')).toEqual([{ name: 'default' }, { name: 'foo' }]);
  });
  it('passes arguments of a network on as they are', () => {
    expect(networks('--net=net1:A=1;B=2,net2')).toEqual([
      { name: 'net1', args: 'A=1;B=2' },
      { name: 'net2' },
    ]);
    expect(networks('--net=default:IP=2001:db8::1')).toEqual([
      { name: 'default', args: 'IP=2001:db8::1' },
    ]);
  });
  it.each([
    ['--net=', 'netname must not be empty'],
    ['--net=a,,b', 'netname must not be empty'],
    ['--net=:A=1', 'netname must not be empty'],
    ['--net=a,a', 'found duplicate netname "a"'],
    ['--net=host:A=1', 'not supported by network "host"'],
    ['--net=all:A=1', 'not supported by network "all"'],
    ['--net=a:b:c', 'network "a" provided with invalid arguments'],
    ['--net=a:', 'network "a" provided with invalid arguments'],
    ['--net=host,a', '"host" cannot be combined'],
    ['--net=a,none', '"none" cannot be combined'],
  ])('refuses %s', (flag, message) => {
    expect(() => networks(flag)).toThrow(message);
  });
});

describe('--dns', () => {
  const resolver = (...argv: string[]) => parseResolver(flags(...argv));

  it('asks for nothing when absent', () => {
    expect(resolver()).toBeUndefined();
  });
  it('gathers servers from lists and occurrences, with their companions', () => {
    expect(
      resolver(
        '--dns=8.8.8.8,::1',
        '--dns=1.1.1.1',
        '--dns-search=a',
        '--dns-search=b',
        '--dns-opt=debug',
        '--dns-domain=d',
      ),
    ).toEqual({
      kind: 'made',
      nameservers: ['8.8.8.8', '::1', '1.1.1.1'],
      search: ['a', 'b'],
      options: ['debug'],
      domain: 'd',
    });
  });
  it('makes a file without servers from the companions alone', () => {
    expect(resolver('--dns-opt=debug')).toMatchObject({ kind: 'made', nameservers: [] });
  });
  it('knows host and none', () => {
    expect(resolver('--dns=host')).toEqual({ kind: 'host' });
    expect(resolver('--dns=none')).toEqual({ kind: 'none' });
  });
  it.each([
    [['--dns=host', '--dns=1.1.1.1'], 'no other --dns options allowed when --dns=host'],
    [['--dns=none,host'], 'no other --dns options allowed'],
    [['--dns=none', '--dns-search=a'], 'no other --dns options allowed when --dns=none'],
    [['--dns=example.org'], 'invalid IP "example.org"'],
    [['--dns='], 'invalid IP ""'],
  ])('refuses %j', (argv, message) => {
    expect(() => resolver(...argv)).toThrow(message);
  });
});

describe('--hosts-entry', () => {
  const hosts = (...argv: string[]) => parseHosts(flags(...argv));

  it('gathers the names of an address', () => {
    expect(hosts('--hosts-entry=10.0.0.1=a,::1=c', '--hosts-entry=10.0.0.1=b')).toEqual({
      kind: 'made',
      entries: [
        { address: '10.0.0.1', names: ['a', 'b'] },
        { address: '::1', names: ['c'] },
      ],
    });
  });
  it('knows host', () => {
    expect(hosts('--hosts-entry=host')).toEqual({ kind: 'host' });
  });
  it.each([
    ['--hosts-entry=host,1.1.1.1=a', 'cannot combine "host"'],
    ['--hosts-entry=nonsense', 'did not understand "nonsense"'],
    ['--hosts-entry=1.1.1.1=', 'did not understand'],
    ['--hosts-entry=1.1.1.1=a\nb', 'did not understand'],
    ['--hosts-entry=x=a', 'invalid IP "x"'],
  ])('refuses %j', (flag, message) => {
    expect(() => hosts(flag)).toThrow(message);
  });
});
