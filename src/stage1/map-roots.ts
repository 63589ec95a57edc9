import { join } from 'node:path';
import { mapMount } from '../os/idmap.ts';
import { unmount } from '../os/syscalls.ts';
import { Stage1Error } from './error.ts';
import { appRootfs, POD_FILES, readPodManifest } from './pod-files.ts';

/**
 * Has all that is in a pod belong to the users of its user namespace: N on disk is N in the pod, and
 * `shift` + N for the host that looks into the pod. To be called when the root is laid out; what is
 * mounted in it, but for the apps' roots, stays as it is.
 *
 * @param mountApp mounts an app's root again, mapped
 * @throws Stage1Error `unsupported` where the file system or the kernel has no ID-mapped mounts
 */
export function mapRoots(
  podFolder: string,
  ids: number,
  mountApp: (app: string, ids: number) => void,
): void {
  const root = join(podFolder, POD_FILES.stage1Root);
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
