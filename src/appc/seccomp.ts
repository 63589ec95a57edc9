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
  /** What a forbidden call fails with. */
  errno: string;
}

/** A filter that lets a forbidden call fail is one that programs survive. */
const defaultErrno = 'EPERM';
const everything = '@appc.io/all';
const nothing = '@appc.io/empty';

/**
 * The filter that an app's isolators ask for; undefined when they ask for none
 * (`@appc.io/all` retained). Without an isolator it is the default whitelist.
 *
 * @throws AppcError `schema` for an unknown @set, `conflict` when there are several isolators
 */
export function seccompFilter(isolators: readonly Isolator[]): SeccompFilter | undefined {
  const retain = isolatorValues(isolators, 'os/linux/seccomp-retain-set');
  const remove = isolatorValues(isolators, 'os/linux/seccomp-remove-set');
  if (retain.length + remove.length > 1)
    throw new AppcError('conflict', 'an app can have one seccomp isolator only');
  const [given] = [...retain, ...remove];
  const mode = remove.length > 0 ? 'remove' : 'retain';
  const errno = given?.errno || defaultErrno;
  const byDefault = () =>
    ({ mode: 'retain', syscalls: expand(['@rkt/default-whitelist']), errno }) as const;
  if (given === undefined) return byDefault();
  if (given.set.includes(everything)) {
    if (mode === 'retain') return undefined;
    throw new AppcError('schema', `${everything} cannot be removed: no program could run`);
  }
  const syscalls = expand(given.set.filter((name) => name !== nothing));
  if (syscalls.length > 0) return { mode, syscalls, errno };
  if (mode === 'remove') return byDefault();
  throw new AppcError('schema', `${nothing} alone cannot be retained: no program could run`);
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
