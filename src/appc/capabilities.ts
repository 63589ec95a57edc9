/** Capability bounding set of an app (capabilities(7); spec: ace.md, "os/linux/capabilities-*"). */
import { AppcError } from './error.ts';
import { isolatorValues } from './isolators.ts';
import type { Isolator } from './types.ts';

/** By number, as in linux/capability.h. */
const known = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
];

const defaultCapabilities: readonly string[] = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETUID',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETFCAP',
  'CAP_SYS_CHROOT',
];

/** The number of a capability; -1 for a name that is none. */
export function capabilityNumber(name: string): number {
  return known.indexOf(name);
}

/** @throws AppcError `schema` for a name that is no capability of Linux */
export function checkCapability(name: string): void {
  if (!known.includes(name))
    throw new AppcError('schema', `unknown capability "${name}" (see capabilities(7))`);
}

/**
 * The capabilities that an app may ever have, sorted: exactly the retain-set, or the defaults
 * without the remove-set.
 *
 * @throws AppcError `schema` for an unknown name, `conflict` when both kinds of set are there
 */
export function boundingSet(isolators: readonly Isolator[]): string[] {
  const retain = isolatorValues(isolators, 'os/linux/capabilities-retain-set');
  const remove = isolatorValues(isolators, 'os/linux/capabilities-remove-set');
  if (retain.length > 0 && remove.length > 0)
    throw new AppcError(
      'conflict',
      'an app cannot have both os/linux/capabilities-retain-set and -remove-set',
    );
  const retained = retain.flatMap(({ set }) => set);
  const removed = remove.flatMap(({ set }) => set);
  for (const name of [...retained, ...removed]) checkCapability(name);
  const allowed =
    retain.length > 0
      ? new Set(retained)
      : new Set(defaultCapabilities.filter((name) => !removed.includes(name)));
  return [...allowed].sort();
}
