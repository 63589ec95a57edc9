import { closeSync, openSync } from 'node:fs';
import { chroot, enterMounts, unmount, unshareMounts } from './syscalls.ts';

let areOurs = false;

/**
 * The mount namespace that this process was started in is nobody else's: mounts are made in it, by a
 * process that may make no other one, and `endPrivateMount` has to take them away.
 */
export function ownMounts(): void {
  areOurs = true;
}

/**
 * Runs `action` with the calling thread in a mount namespace of its own, which lives on in the
 * processes started there, and brings the thread back with its root and working folder. What was
 * mounted goes with the last process in it, however that ends. All of it is synchronous, so no other
 * code sees the other namespace.
 */
export function withPrivateMounts<T>(action: () => T): T {
  if (areOurs) return action();
  const [mounts, root, cwd] = [
    openSync('/proc/thread-self/ns/mnt', 'r'),
    openSync('/', 'r'),
    openSync('.', 'r'),
  ];
  try {
    unshareMounts();
    try {
      return action();
    } finally {
      enterMounts(mounts);
      chroot(`/proc/self/fd/${root}`);
      process.chdir(`/proc/self/fd/${cwd}`);
    }
  } finally {
    for (const fd of [mounts, root, cwd]) closeSync(fd);
  }
}

/** Takes away what an action has mounted, where no namespace goes and does so. */
export function endPrivateMount(target: string): void {
  if (areOurs) unmount(target);
}
