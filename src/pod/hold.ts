import { closeSync, constants, openSync } from 'node:fs';
import { PodError } from './error.ts';
import { type Pod, podRemoved, readPod, refreshPod } from './pods.ts';
import { lockIsFree } from './wait.ts';

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

/** How long a pod that has ended may take to be marked, in milliseconds: plugins leave its networks. */
const MARKING = 60_000;

/**
 * Does something with a pod that nobody works on. One that is just being marked for collection, as units
 * have it done at a pod's end, is waited for.
 *
 * @param action throws PodError `busy` when somebody does work on the pod
 * @throws PodError `no-such-pod` when the pod is removed meanwhile
 */
export async function whenFree<Value>(
  dataDir: string,
  found: Pod,
  action: (pod: Pod) => Promise<Value>,
): Promise<Value> {
  const until = Date.now() + MARKING;
  for (let pod = found; ; ) {
    const isMarked = pod.state === 'exited deleting' && Date.now() < until;
    let busy: unknown;
    try {
      if (!isMarked) return await action(pod);
    } catch (error) {
      if (!(error instanceof PodError && error.code === 'busy')) throw error;
      busy = error;
    }
    await lockIsFree(pod.folder, until);
    if (busy !== undefined && Date.now() >= until) throw busy;
    const now = refreshPod(dataDir, pod.uuid);
    if (!now || now.group === 'garbage') throw busy ?? podRemoved(found);
    pod = now;
  }
}
