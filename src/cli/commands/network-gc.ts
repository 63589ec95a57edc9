import { leavePod } from '../../pod/leave.ts';
import { findPod, refreshPod } from '../../pod/pods.ts';
import type { Context } from '../context.ts';

/** Leaves the networks of a pod that has ended: what a start has left for its end. */
export async function run({ globals, args, note }: Context): Promise<number> {
  const [uuid = ''] = args;
  // Whoever has removed it has left its networks first.
  if (uuid.length === 36 && !refreshPod(globals.dataDir, uuid)) return 0;
  const pod = findPod(globals.dataDir, uuid);
  await leavePod(pod, globals.localConfig, note);
  return 0;
}
