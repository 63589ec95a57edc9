import { closeSync, openSync } from 'node:fs';
import { chroot, enterMounts, unshareMounts } from './syscalls.ts';

/**
 * Runs `action` with the calling thread in a mount namespace of its own, which lives on in the
 * processes started there, and brings the thread back with its root and working folder. What was
 * mounted goes with the last process in it, however that ends. All of it is synchronous, so no other
 * code sees the other namespace.
 */
export function withPrivateMounts<T>(action: () => T): T {
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
