import { PodError } from '../../pod/error.ts';
import { findPod, lockPod, refreshPod } from '../../pod/pods.ts';
import { startPod } from '../../pod/start.ts';
import { readPodManifest } from '../../stage1/pod-files.ts';
import type { Context } from '../context.ts';
import { usageError } from '../error.ts';
import { startRequest } from '../pod-start.ts';
import { startArguments } from '../run-args.ts';

/** Becomes a pod that was prepared before, or leaves it to systemd. */
export async function run(context: Context): Promise<number> {
  const start = startArguments(context);
  const { dataDir } = context.globals;
  const pod = findPod(dataDir, context.args[0] ?? '');
  const notPrepared = () => new PodError('wrong-state', `pod "${pod.uuid}" is not prepared`);
  if (pod.state !== 'prepared') throw notPrepared();
  if (start.interactive && readPodManifest(pod.folder).apps.length > 1)
    throw usageError('--interactive takes a pod with one app only');
  if (start.detach) {
    const { checkDetach, runDetached } = await import('../detach.ts');
    checkDetach();
    return runDetached(context, pod.uuid, start);
  }
  const lock = lockPod(pod);
  // Another command may have started or collected it before the lock was ours.
  if (!lock || refreshPod(dataDir, pod.uuid)?.state !== 'prepared') throw notPrepared();
  return startPod(dataDir, { pod, lock }, startRequest(context, start));
}
