import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { mountPoints } from '../os/mount-points.ts';
import { attachTree, cloneTree } from '../os/mount-tree.ts';
import { inMountsOf } from '../os/mounts-of.ts';
import { unmount } from '../os/syscalls.ts';
import { POD_FILES, podPid, supervisorPid } from './pod-files.ts';

/**
 * What is mounted, or no longer mounted, at `places` in the mount namespace of a running pod's container
 * manager becomes so in the pod. From the nspawn of systemd 252 it gets there by itself; that of 257
 * cuts the pod off.
 *
 * @param places below the stage1 root, as the container manager sees them
 */
export function passOn(podFolder: string, places: readonly string[]): void {
  const [manager, init] = [supervisorPid(podFolder), podPid(podFolder)];
  if (manager === undefined || init === undefined) return;
  const root = join(podFolder, POD_FILES.stage1Root);
  const [outside, inside] = [mountPoints(manager), mountPoints(init)];
  for (const place of places) {
    const target = place.slice(root.length);
    const [wanted, there] = [outside.includes(place), inside.includes(target)];
    if (wanted && !there) copyMount(manager, place, init, target);
    if (there && !wanted) inMountsOf(init, () => unmount(target));
  }
}

function copyMount(from: number, source: string, to: number, target: string): void {
  const tree = inMountsOf(from, () => cloneTree(source, true));
  try {
    inMountsOf(to, () => attachTree(tree, target));
  } finally {
    closeSync(tree);
  }
}
