/** Isolators: which exist, which exclude each other, how a value is read from a list of them. */
import type {
  Isolator,
  KnownIsolator,
  KnownIsolatorName,
  KnownIsolatorValues,
  OtherIsolator,
} from './types.ts';

/** `os/linux/cpu-shares`: the kernel's range for `cpu.shares`. */
export const cpuSharesRange = [2, 262_144] as const;
/** `os/linux/oom-score-adj` (proc(5), `/proc/[pid]/oom_score_adj`). */
export const oomScoreAdjRange = [-1000, 1000] as const;

/** `os/linux/io-weight`: the range of version 2's `io.weight`, 100 by default. */
export const ioWeightRange = [1, 10_000] as const;
/** `os/linux/tasks`: processes and threads, as many as the kernel can have (pid_max). */
export const tasksRange = [1, 4_194_304] as const;

export const capabilityIsolators = [
  'os/linux/capabilities-retain-set',
  'os/linux/capabilities-remove-set',
] as const;
export const seccompIsolators = [
  'os/linux/seccomp-retain-set',
  'os/linux/seccomp-remove-set',
] as const;

const known: ReadonlySet<string> = new Set<KnownIsolatorName>([
  'resource/cpu',
  'resource/memory',
  'resource/block-bandwidth',
  'resource/block-iops',
  'resource/network-bandwidth',
  ...capabilityIsolators,
  ...seccompIsolators,
  'os/linux/no-new-privileges',
  'os/linux/oom-score-adj',
  'os/linux/cpu-shares',
  'os/linux/selinux-context',
  'os/linux/apparmor-profile',
  'os/unix/sysctl',
  'os/linux/io-weight',
  'os/linux/tasks',
  'os/linux/rlimits',
]);

/** What a pod manifest may bound the pod as a whole with; the others are for apps. */
const forPods: ReadonlySet<string> = new Set<KnownIsolatorName>([
  'resource/cpu',
  'resource/memory',
  'resource/block-bandwidth',
  'resource/block-iops',
  'resource/network-bandwidth',
  'os/linux/cpu-shares',
  'os/linux/io-weight',
  'os/linux/tasks',
  'os/linux/selinux-context',
  'os/unix/sysctl',
]);
/** What only a pod as a whole can have (spec: ace.md, "os/unix/sysctl"). */
const forPodsAlone = 'os/unix/sysctl';

/** Names of which a list may hold one entry at most. */
const single: ReadonlySet<string> = new Set([
  ...seccompIsolators,
  'os/linux/oom-score-adj',
  'os/linux/cpu-shares',
  'os/linux/selinux-context',
  'os/linux/apparmor-profile',
  'os/unix/sysctl',
  'os/linux/io-weight',
  'os/linux/tasks',
  'os/linux/rlimits',
]);

/** The first isolator of a list that is not for whom it was given to, or undefined. */
export function misplacedIsolator(
  isolators: readonly Isolator[],
  place: 'app' | 'pod',
): string | undefined {
  const fits = (name: string) => (place === 'pod' ? forPods.has(name) : name !== forPodsAlone);
  return isolators.find(({ name }) => isKnownIsolatorName(name) && !fits(name))?.name;
}

/** Whether it is an isolator that rkt has a schema for; the others are kept and not enforced. */
export function isKnownIsolatorName(name: string): name is KnownIsolatorName {
  return known.has(name);
}

/** The isolators that nothing enforces, for a warning. */
export function otherIsolators(isolators: readonly Isolator[]): OtherIsolator[] {
  return isolators.filter((isolator) => !isKnownIsolatorName(isolator.name));
}

/**
 * Whether a name belongs to the spec's own name spaces, where an unknown name is a mistake and not
 * somebody's extension.
 */
export function isReservedIsolatorName(name: string): boolean {
  return name.startsWith('resource/') || name.startsWith('os/');
}

/** All values of one isolator, in order. */
export function isolatorValues<Name extends KnownIsolatorName>(
  isolators: readonly Isolator[],
  name: Name,
): KnownIsolatorValues[Name][] {
  const matches = (isolator: Isolator): isolator is KnownIsolator<Name> => isolator.name === name;
  return isolators.filter(matches).map(({ value }) => value);
}

/** The value in force of one isolator: the last of its name. */
export function isolatorValue<Name extends KnownIsolatorName>(
  isolators: readonly Isolator[],
  name: Name,
): KnownIsolatorValues[Name] | undefined {
  return isolatorValues(isolators, name).at(-1);
}

/** Why a list of isolators cannot hold together, with the index of the later one, or undefined. */
export function isolatorConflict(
  isolators: readonly Isolator[],
): { index: number; why: string } | undefined {
  const seen = new Set<string>();
  for (const [index, { name }] of isolators.entries()) {
    const rival = [capabilityIsolators, seccompIsolators]
      .find((pair) => pair.some((member) => member === name))
      ?.find((member) => member !== name);
    if (rival !== undefined && seen.has(rival)) return { index, why: `conflicts with ${rival}` };
    if (single.has(name) && seen.has(name)) return { index, why: 'may be given only once' };
    seen.add(name);
  }
  return undefined;
}
