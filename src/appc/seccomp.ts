/** Seccomp filter of an app (spec: ace.md, "os/linux/seccomp-*-set"). */
import { AppcError } from './error.ts';
import { isolatorValue, isolatorValues } from './isolators.ts';
import { seccompSets } from './seccomp-sets.ts';
import type { Isolator } from './types.ts';

export interface SeccompFilter {
  /** `retain`: nothing but these calls is allowed; `remove`: everything but these. */
  mode: 'retain' | 'remove';
  /** Sorted names of system calls, and of systemd's own groups (`@clock`). */
  syscalls: string[];
  /** Of a `retain` filter: names that fail with EPERM, whatever `errno` is for the others. */
  refused: string[];
  /** What any other call fails with that is not allowed. */
  errno: string;
  /** Whether what makes processes (clone) may put them into new namespaces. */
  namespaces: boolean;
}

/**
 * A filter that lets a forbidden call fail is one that programs survive. What nobody here has heard
 * of fails as on an older kernel, so that a C library newer than the lists takes its older way.
 */
const forbidden = 'EPERM';
const unheardOf = 'ENOSYS';
const everything = '@appc.io/all';
const nothing = '@appc.io/empty';

/**
 * The filter that an app's isolators ask for; undefined when they ask for none
 * (`@appc.io/all` retained). Without an isolator, and with `@appc.io/empty` removed, it is the
 * default whitelist. An errno that an isolator names counts for every call that is not allowed.
 *
 * @throws AppcError `schema` for an unknown @set, `conflict` when there are several isolators
 */
export function seccompFilter(isolators: readonly Isolator[]): SeccompFilter | undefined {
  const retain = isolatorValues(isolators, 'os/linux/seccomp-retain-set');
  const remove = isolatorValues(isolators, 'os/linux/seccomp-remove-set');
  if (retain.length + remove.length > 1)
    throw new AppcError('conflict', 'an app can have one seccomp isolator only');
  const [given] = [...retain, ...remove];
  if (given === undefined) return retained([defaultSet], undefined);
  const { set, errno } = given;
  if (retain.length > 0) {
    if (set.includes(everything)) return undefined;
    const names = set.filter((name) => name !== nothing);
    if (names.length > 0) return retained(names, errno);
    throw new AppcError('schema', `${nothing} alone cannot be retained: no program could run`);
  }
  if (set.includes(everything))
    throw new AppcError('schema', `${everything} cannot be removed: no program could run`);
  // It masks the other values (spec).
  if (set.includes(nothing)) return retained([defaultSet], errno);
  return {
    mode: 'remove',
    syscalls: expand(set),
    refused: [],
    errno: errno || forbidden,
    namespaces: true,
  };
}

const defaultSet = '@rkt/default-whitelist';
const defaultSets = [defaultSet, '@docker/default-whitelist'];

function retained(names: readonly string[], errno: string | undefined): SeccompFilter {
  const syscalls = expand(names);
  const allowed = new Set(syscalls);
  const namespaces =
    !names.some((name) => defaultSets.includes(name)) ||
    ['unshare', 'setns'].some((name) => allowed.has(name));
  if (errno) return { mode: 'retain', syscalls, refused: [], errno, namespaces };
  const refused = expand([defaultSet, '@rkt/default-blacklist']).filter(
    (name) => !allowed.has(name),
  );
  return { mode: 'retain', syscalls, refused, errno: unheardOf, namespaces };
}

/**
 * Whether an app's process must have no_new_privs: as its isolator says, and always for a user
 * other than root under a filter, since the kernel lets nobody else install one (seccomp(2)).
 */
export function noNewPrivileges(
  isolators: readonly Isolator[],
  uid: number,
  filter: SeccompFilter | undefined,
): boolean {
  return (
    isolatorValue(isolators, 'os/linux/no-new-privileges') === true ||
    (uid !== 0 && filter !== undefined)
  );
}

/** @throws AppcError `schema` for a @set that does not exist */
export function checkSeccompNames(names: readonly string[]): void {
  expand(names.filter((name) => name !== everything && name !== nothing));
}

function expand(names: readonly string[]): string[] {
  const members = names.flatMap((name) => {
    if (!name.startsWith('@')) return name;
    const set = Object.hasOwn(seccompSets, name) ? seccompSets[name] : undefined;
    if (set !== undefined) return set;
    throw new AppcError(
      'schema',
      `unknown seccomp set "${name}", must be one of ${[everything, nothing, ...Object.keys(seccompSets)].join(', ')}`,
    );
  });
  return [...new Set(members)].sort();
}
