import { readFileSync } from 'node:fs';
import { type Isolator, isolatorValue, misplacedIsolator } from '../../src/appc/index.ts';
import { readIfExists } from '../../src/os/files.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { checkProcessLimits } from '../../src/stage1/process-limits.ts';
import type { Setting } from './unit-text.ts';

/**
 * A limit that nobody enforces is worse than none: its author counts on it.
 *
 * @throws Stage1Error `unsupported` for an isolator that an app cannot have here
 */
export function checkAppIsolators(
  app: string,
  isolators: readonly Isolator[],
  userNamespace: boolean,
): void {
  const what = `cannot run app "${app}"`;
  const misplaced = misplacedIsolator(isolators, 'app');
  if (misplaced) throw refusal(what, misplaced, 'is for a pod as a whole, not for an app');
  refuseBandwidth(what, isolators);
  if (isolators.some(({ name }) => name === 'os/linux/selinux-context'))
    throw refusal(what, 'os/linux/selinux-context', 'can be enforced for a pod as a whole only');
  checkProcessLimits(isolators, userNamespace);
}

/** @throws Stage1Error `unsupported` for an isolator that a pod as a whole cannot have here */
export function checkPodIsolators(isolators: readonly Isolator[]): void {
  const what = 'cannot run the pod';
  const misplaced = misplacedIsolator(isolators, 'pod');
  if (misplaced) throw refusal(what, misplaced, 'is for apps, not for a pod as a whole');
  refuseBandwidth(what, isolators);
}

function refuseBandwidth(what: string, isolators: readonly Isolator[]): void {
  const name = 'resource/network-bandwidth';
  if (isolators.some((isolator) => isolator.name === name))
    throw refusal(what, name, 'is not enforced by this version');
}

/** The profile of AppArmor that an app is to run under: it must be loaded in the kernel. */
export function appArmorSettings(isolators: readonly Isolator[]): Setting[] {
  const profile = isolatorValue(isolators, 'os/linux/apparmor-profile')?.name;
  if (profile === undefined) return [];
  const name = 'os/linux/apparmor-profile';
  if (readIfExists('/sys/module/apparmor/parameters/enabled')?.trim() !== 'Y')
    throw refusal(
      'cannot run the app',
      name,
      "needs AppArmor, which this host's kernel does not have",
    );
  const loaded = readIfExists('/sys/kernel/security/apparmor/profiles')?.split('\n');
  const known = (line: string) => line.startsWith(`${profile} (`);
  if (profile !== 'unconfined' && loaded && !loaded.some(known))
    throw refusal('cannot run the app', name, `names a profile that is not loaded: "${profile}"`);
  return [['AppArmorProfile', profile]];
}

/** The label of SELinux for a pod's processes, `user:role:type:level`. */
export function selinuxContext(isolators: readonly Isolator[]): string | undefined {
  const context = isolatorValue(isolators, 'os/linux/selinux-context');
  if (context === undefined) return undefined;
  if (!hasSelinux())
    throw refusal(
      'cannot run the pod',
      'os/linux/selinux-context',
      "needs SELinux, which this host's kernel does not have",
    );
  return [context.user, context.role, context.type, context.level].join(':');
}

function hasSelinux(): boolean {
  return /^\S+ \/sys\/fs\/selinux selinuxfs /m.test(readFileSync('/proc/self/mounts', 'utf8'));
}

function refusal(what: string, isolator: string, why: string): Stage1Error {
  return new Stage1Error('unsupported', `${what}: the isolator ${isolator} ${why}`);
}
