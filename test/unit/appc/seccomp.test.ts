import { describe, expect, test } from 'vitest';
import {
  type Isolator,
  nativeCalls,
  noNewPrivileges,
  seccompFilter,
} from '../../../src/appc/index.ts';
import { seccompSets } from '../../../src/appc/seccomp-sets.ts';

const isolator = (kind: 'retain' | 'remove', set: string[], errno?: string): Isolator => ({
  name: `os/linux/seccomp-${kind}-set`,
  value: errno === undefined ? { set } : { set, errno },
});

const byDefault = seccompFilter([]);

describe('the default filter', () => {
  test('fails a forbidden call with EPERM and an unknown one with ENOSYS', () => {
    expect(byDefault).toMatchObject({ mode: 'retain', errno: 'ENOSYS' });
    expect(byDefault?.refused).toEqual(expect.arrayContaining(['mount', 'ptrace', 'unshare']));
  });

  test('allows no new namespaces', () => {
    expect(byDefault?.namespaces).toBe(false);
  });

  test.each(['execve', 'clone3', 'rseq', 'statx', 'faccessat2', 'futex_waitv', 'close_range'])(
    'allows %s, which a current C library calls',
    (name) => {
      expect(byDefault?.syscalls).toContain(name);
    },
  );

  test.each(['mount', 'unshare', 'setns', 'bpf', 'ptrace', 'io_uring_setup', 'keyctl', 'reboot'])(
    'does not allow %s',
    (name) => {
      expect(byDefault?.syscalls).not.toContain(name);
    },
  );

  test('has every name of the blacklist outside', () => {
    const allowed = new Set(byDefault?.syscalls);
    expect(seccompSets['@rkt/default-blacklist']?.filter((name) => allowed.has(name))).toEqual([]);
  });
});

test('a retain-set is those calls and no other, which fail as it says', () => {
  expect(seccompFilter([isolator('retain', ['write', 'read', 'read'], 'EACCES')])).toEqual({
    mode: 'retain',
    syscalls: ['read', 'write'],
    refused: [],
    errno: 'EACCES',
    namespaces: true,
  });
});

test('a retain-set without an errno tells the known calls from the unknown', () => {
  const filter = seccompFilter([isolator('retain', ['read', 'write'])]);
  expect(filter?.errno).toBe('ENOSYS');
  expect(filter?.refused).toEqual(expect.arrayContaining(['open', 'mount']));
  expect(filter?.refused).not.toContain('read');
});

test('the default set and what makes namespaces lets clone make them too', () => {
  const filter = seccompFilter([isolator('retain', ['@docker/default-whitelist', 'unshare'])]);
  expect(filter?.namespaces).toBe(true);
});

test('named sets and calls mix', () => {
  const filter = seccompFilter([isolator('remove', ['@rkt/default-blacklist', 'chmod'])]);
  expect(filter?.mode).toBe('remove');
  expect(filter?.syscalls).toEqual(expect.arrayContaining(['chmod', 'mount', 'bpf']));
});

test('systemd’s own groups are left to systemd', () => {
  const filter = seccompFilter([
    isolator('retain', ['@systemd/default-whitelist', '@systemd/raw-io']),
  ]);
  expect(filter?.syscalls).toEqual(['@default', '@raw-io']);
});

test('everything retained is no filter', () => {
  expect(seccompFilter([isolator('retain', ['@appc.io/all'])])).toBeUndefined();
});

test('nothing removed is the default filter, whatever else is named', () => {
  expect(seccompFilter([isolator('remove', ['@appc.io/empty', 'read'])])).toEqual(byDefault);
});

test('an empty errno is the default one', () => {
  expect(seccompFilter([isolator('remove', ['read'], '')])?.errno).toBe('EPERM');
});

test.each([
  [[isolator('retain', ['@docker/none'])], 'unknown seccomp set "@docker/none"'],
  [[isolator('remove', ['@appc.io/all'])], 'no program could run'],
  [[isolator('retain', ['@appc.io/empty'])], 'no program could run'],
  [[isolator('retain', ['read']), isolator('remove', ['read'])], 'one seccomp isolator only'],
])('%j is refused', (isolators, why) => {
  expect(() => seccompFilter(isolators)).toThrow(why);
});

describe('no_new_privs', () => {
  const asked: Isolator = { name: 'os/linux/no-new-privileges', value: true };

  test('is set for a user other than root under a filter', () => {
    expect(noNewPrivileges([], 1000, byDefault)).toBe(true);
  });

  test('is not set for root, nor without a filter', () => {
    expect(noNewPrivileges([], 0, byDefault)).toBe(false);
    expect(noNewPrivileges([], 1000, undefined)).toBe(false);
  });

  test('is set where the isolator asks for it', () => {
    expect(noNewPrivileges([asked], 0, undefined)).toBe(true);
  });
});

describe('the calls of 64-bit programs', () => {
  const names = ['read', 'open', 'mmap2', 'some_new_call'];

  test.each([
    ['x64', ['read', 'open', 'some_new_call']],
    ['arm64', ['read', 'some_new_call']],
    ['riscv64', names],
  ] as const)('on %s are %j', (arch, native) => {
    expect(nativeCalls(names, arch)).toEqual(native);
  });
});
