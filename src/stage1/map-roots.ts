import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type IdRange, mapMount } from '../os/idmap.ts';
import { cloneTree } from '../os/mount-tree.ts';
import { type IdMove, moveOwners } from '../os/move-owners.ts';
import { unmount } from '../os/syscalls.ts';
import { Stage1Error } from './error.ts';
import { appRootfs, POD_FILES, readPodManifest } from './pod-files.ts';

/**
 * Has all that is in a pod belong to the users of its user namespace: N on disk is N in the pod, and
 * `shift` + N for the host that looks into the pod. To be called when the root is laid out; what is
 * mounted in it, but for the apps' roots, stays as it is. Where `ownersAreShifted`, it is `shift` + N on
 * disk as well.
 *
 * @param ids a descriptor of that namespace (src/os/idmap.ts)
 * @param mountApp mounts an app's root again, mapped
 * @throws Stage1Error `unsupported` where the file system or the kernel has no ID-mapped mounts
 */
export function mapRoots(
  podFolder: string,
  users: IdRange,
  ids: number,
  mountApp: (app: string, ids: number) => void,
): void {
  const root = join(podFolder, POD_FILES.stage1Root);
  if (ownersAreShifted(podFolder)) {
    shiftRoot(root, users);
    return;
  }
  const apps = readPodManifest(podFolder).apps.map(({ name }) => name);
  for (const app of apps) {
    unmount(join(root, appRootfs(app)));
    mountApp(app, ids);
  }
  try {
    mapMount(root, root, ids, 'top');
  } catch (error) {
    throw new Stage1Error(
      'unsupported',
      `cannot give ${root} the ids of a user namespace, which takes Linux 5.12 and a file system with ID-mapped mounts: leave --private-users out`,
      error,
    );
  }
}

/** In a pod's folder, when what it has on disk is to belong to its own users' ids on the host. */
export const SHIFTED = 'private-users-shifted';

/** Whether a pod with a user namespace does without ID-mapped mounts. */
export function ownersAreShifted(podFolder: string): boolean {
  return existsSync(join(podFolder, SHIFTED));
}

/** From the ids of an image to those that a pod's users have on the host. */
export function shiftOf({ shift, count }: IdRange): IdMove {
  return { from: 0, to: shift, count };
}

/** The copies of the apps' roots are in it; a mount of the root alone hides what is mounted there. */
function shiftRoot(root: string, users: IdRange): void {
  const tree = cloneTree(root, false);
  try {
    moveOwners(`/proc/self/fd/${tree}/.`, shiftOf(users));
  } finally {
    closeSync(tree);
  }
}
