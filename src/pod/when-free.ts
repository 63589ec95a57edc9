import { PodError } from './error.ts';
import { type Pod, podRemoved, refreshPod } from './pods.ts';
import { lockIsFree } from './wait.ts';

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
      // One that is about to run would be waited for until it has ended, and then be taken for this one.
      if (pod.group !== 'run' && pod.group !== 'exited-garbage') throw error;
      busy = error;
    }
    await lockIsFree(pod.folder, until);
    if (busy !== undefined && Date.now() >= until) throw busy;
    const now = refreshPod(dataDir, pod.uuid);
    if (!now || now.group === 'garbage') throw busy ?? podRemoved(found);
    pod = now;
  }
}
