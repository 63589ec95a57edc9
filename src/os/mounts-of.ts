import { closeSync, openSync } from 'node:fs';
import { withPrivateMounts } from './private-mounts.ts';
import { enterMounts } from './syscalls.ts';

/**
 * Runs `action` in the mount namespace of another process and comes back. What is mounted there
 * stays there. All of it is synchronous, so no other code sees the other namespace.
 */
export function inMountsOf<T>(pid: number, action: () => T): T {
  const theirs = openSync(`/proc/${pid}/ns/mnt`, 'r');
  try {
    return withPrivateMounts(() => {
      enterMounts(theirs);
      return action();
    });
  } finally {
    closeSync(theirs);
  }
}
