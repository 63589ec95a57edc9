import { closeSync, constants, openSync } from 'node:fs';
import { type Pod, podRemoved, readPod } from './pods.ts';

/**
 * The pod by a descriptor of its folder: for who looks at it longer than for a moment, and finds all of it
 * wherever a collection moves it meanwhile. Its folder's path leads there in this process alone.
 *
 * @throws PodError `no-such-pod` when it is gone
 */
export function holdPod(dataDir: string, found: Pod): Pod {
  let fd: number | undefined;
  const held = readPod(dataDir, found, (pod) => {
    if (fd !== undefined) closeSync(fd);
    fd = openSync(pod.folder, constants.O_RDONLY | constants.O_DIRECTORY);
    return { ...pod, folder: `/proc/self/fd/${fd}` };
  });
  if (!held) throw podRemoved(found);
  return held;
}
