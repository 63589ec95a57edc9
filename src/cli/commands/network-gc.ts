import { leavePod } from '../../pod/leave.ts';
import { findPod } from '../../pod/pods.ts';
import type { Context } from '../context.ts';

/** Leaves the networks of a pod that has ended: what a start has left for its end. */
export async function run({ globals, args, note }: Context): Promise<number> {
  const pod = findPod(globals.dataDir, args[0] ?? '');
  await leavePod(pod, globals.localConfig, note);
  return 0;
}
