import { describe, expect, test } from 'vitest';
import {
  type Isolator,
  isolatorValue,
  misplacedIsolator,
  otherIsolators,
  parseRlimit,
  serializeImageManifest,
} from '../../../src/appc/index.ts';
import { validateImageManifest } from '../../../src/appc/parse.ts';
import { appDocument } from './fixtures.ts';

const accept = (...isolators: Isolator[]) =>
  validateImageManifest(appDocument({ isolators })).app?.isolators ?? [];

const refusal = (...isolators: Isolator[]) => {
  try {
    accept(...isolators);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'accepted';
};

test('every isolator of the spec is accepted, and our own', () => {
  const amount = { request: '1', limit: '2' };
  const rate = { default: true, limit: '1M' };
  const all: Isolator[] = [
    { name: 'resource/cpu', value: amount },
    { name: 'resource/memory', value: { limit: '1Gi', default: false } },
    { name: 'resource/block-bandwidth', value: rate },
    { name: 'resource/block-iops', value: rate },
    { name: 'resource/network-bandwidth', value: rate },
    { name: 'os/linux/capabilities-remove-set', value: { set: ['CAP_KILL'] } },
    { name: 'os/linux/seccomp-retain-set', value: { set: ['@appc.io/all'], errno: '' } },
    { name: 'os/linux/no-new-privileges', value: true },
    { name: 'os/linux/oom-score-adj', value: -1000 },
    { name: 'os/linux/cpu-shares', value: 262_144 },
    { name: 'os/linux/selinux-context', value: { user: 'u', role: 'r', type: 't', level: 's0' } },
    { name: 'os/linux/apparmor-profile', value: { name: 'p' } },
    { name: 'os/unix/sysctl', value: { 'net.core.somaxconn': '1024' } },
    { name: 'os/linux/io-weight', value: 10_000 },
    { name: 'os/linux/tasks', value: 1 },
    { name: 'os/linux/rlimits', value: { nofile: '1024:4096', core: 'unlimited' } },
  ];
  expect(accept(...all)).toEqual(all);
});

test('an amount may be a bare number and is kept as text', () => {
  expect(accept({ name: 'resource/memory', value: { limit: 4096 } })).toEqual([
    { name: 'resource/memory', value: { limit: '4096' } },
  ]);
});

test('of several of a name the last is in force', () => {
  const list = accept(
    { name: 'resource/cpu', value: { limit: '1' } },
    { name: 'resource/cpu', value: { limit: '2' } },
  );
  expect(isolatorValue(list, 'resource/cpu')?.limit).toBe('2');
  expect(isolatorValue(list, 'resource/memory')).toBeUndefined();
});

describe('unknown isolators', () => {
  test.each(['os/linux/capability-retain-set', 'resource/gpu'])(
    '%s is refused: the name space is the spec’s own',
    (name) => {
      expect(refusal({ name, value: {} })).toContain(
        `app.isolators[0].name: unknown isolator "${name}"`,
      );
    },
  );

  test('of another name space are kept as they are and can be told apart', () => {
    const foreign = { name: 'example.org/gpu', value: { empty: [], nothing: null } };
    const kept = accept(foreign, { name: 'os/linux/cpu-shares', value: 2 });
    expect(otherIsolators(kept)).toEqual([foreign]);
    const text = serializeImageManifest(validateImageManifest(appDocument({ isolators: kept })));
    expect(text).toContain('{"name":"example.org/gpu","value":{"empty":[],"nothing":null}}');
  });
});

test('a value too deep to be written again is refused', () => {
  const value: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000));
  expect(refusal({ name: 'example.org/deep', value })).toContain('value: is nested too deeply');
});

const caps = (kind: 'retain' | 'remove'): Isolator => ({
  name: `os/linux/capabilities-${kind}-set`,
  value: { set: ['CAP_KILL'] },
});
const seccomp = (kind: 'retain' | 'remove'): Isolator => ({
  name: `os/linux/seccomp-${kind}-set`,
  value: { set: ['ptrace'] },
});
const shares: Isolator = { name: 'os/linux/cpu-shares', value: 2 };
const oom: Isolator = { name: 'os/linux/oom-score-adj', value: 0 };

test.each([
  [caps('retain'), caps('remove'), 'conflicts with os/linux/capabilities-retain-set'],
  [caps('remove'), caps('retain'), 'conflicts with os/linux/capabilities-remove-set'],
  [seccomp('retain'), seccomp('remove'), 'conflicts with os/linux/seccomp-retain-set'],
  [seccomp('remove'), seccomp('retain'), 'conflicts with os/linux/seccomp-remove-set'],
  [seccomp('remove'), seccomp('remove'), 'may be given only once'],
  [shares, shares, 'may be given only once'],
  [oom, oom, 'may be given only once'],
])('%j and %j exclude each other', (one, other, why) => {
  expect(refusal(one, other)).toMatch(new RegExp(`app\\.isolators\\[1\\]: .*${why}`));
});

test.each<[string, unknown, string]>([
  ['os/linux/cpu-shares', 1, 'from 2 to 262144'],
  ['os/linux/cpu-shares', 262_145, 'from 2 to 262144'],
  ['os/linux/oom-score-adj', 1001, 'from -1000 to 1000'],
  ['os/linux/oom-score-adj', '1', 'must be a number'],
  ['os/linux/no-new-privileges', 'yes', 'must be a boolean'],
  ['os/linux/capabilities-retain-set', { set: [] }, 'set: must be non-empty'],
  ['os/linux/capabilities-retain-set', {}, 'set: must be non-empty'],
  ['os/linux/capabilities-retain-set', { set: ['kill'] }, 'set[0]: must be the name of a capab'],
  ['os/linux/seccomp-retain-set', { set: [] }, 'set: must be non-empty'],
  ['os/linux/seccomp-retain-set', { set: ['a'], errno: 'EPERM,EACCES' }, 'errno: must be'],
  ['os/linux/seccomp-retain-set', { set: ['a b'] }, 'set[0]: must be the name'],
  ['resource/cpu', { limit: '1', default: true }, 'default: must be false'],
  ['resource/memory', { limit: '-1' }, 'limit: must not be negative'],
  ['resource/memory', { limit: 'lots' }, 'limit: bad quantity "lots"'],
  ['resource/block-iops', { limit: '1', request: '1', default: true }, 'request: is not allowed'],
  ['resource/block-iops', { limit: '1' }, 'default: is required'],
  ['os/unix/sysctl', { 'a=b': '1' }, 'value'],
  ['os/linux/io-weight', 0, 'from 1 to 10000'],
  ['os/linux/tasks', 0, 'from 1 to'],
  ['os/linux/rlimits', { files: '1' }, 'unknown limit, must be one of'],
  ['os/linux/rlimits', { nofile: '2:1' }, 'the soft limit is above the hard one'],
])('%s with value %j is refused', (name, value, why) => {
  const message = refusal({ name, value });
  expect(message).toContain('app.isolators[0].value');
  expect(message).toContain(why);
});

test.each([
  ['app', 'os/unix/sysctl'],
  ['pod', 'os/linux/no-new-privileges'],
  ['pod', 'os/linux/rlimits'],
] as const)('an isolator of the wrong place is found: in the %s %s', (place, name) => {
  const list: Isolator[] = [
    { name: 'example.org/own', value: 1 },
    { name: 'resource/memory', value: { limit: '1Gi' } },
    { name, value: true },
  ];
  expect(misplacedIsolator(list, place)).toBe(name);
  expect(misplacedIsolator(list, place === 'app' ? 'pod' : 'app')).toBeUndefined();
});

test.each([
  ['10', 10, 10],
  ['10:20', 10, 20],
  ['10:unlimited', 10, Number.POSITIVE_INFINITY],
  ['-1', Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
])('the limit %s is soft %d, hard %d', (text, soft, hard) => {
  expect(parseRlimit(text)).toEqual({ soft, hard });
});

test.each(['', '1:2:3', '2:1', 'unlimited:1', '1.5', '1k'])('the limit "%s" is refused', (text) => {
  expect(() => parseRlimit(text)).toThrow(/bad limit/);
});
