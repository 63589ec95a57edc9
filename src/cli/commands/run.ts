import { keepPrepared } from '../../pod/prepare.ts';
import { startPod } from '../../pod/start.ts';
import type { Context } from '../context.ts';
import { preparePodFor, saveUuid } from '../pod-setup.ts';
import { startRequest } from '../pod-start.ts';
import { runArguments } from '../run-args.ts';

/** Prepares a pod and becomes it, or leaves it to systemd. */
export async function run(context: Context): Promise<number> {
  const args = runArguments(context);
  const { dataDir } = context.globals;
  const detach = args.detach ? await import('../detach.ts') : undefined;
  detach?.checkDetach();
  const held = await preparePodFor(context, args, (uuid) => {
    if (args.uuidFileSave) saveUuid(args.uuidFileSave, uuid);
  });
  if (!detach) return startPod(dataDir, held, startRequest(context, args));
  const pod = keepPrepared(dataDir, held);
  held.lock.release();
  return detach.runDetached(context, pod.uuid, args);
}
