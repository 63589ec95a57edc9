import { leaveNetworks } from '../../net/leave.ts';
import { PLUGIN_DEADLINE, PLUGIN_FOLDERS } from '../../net/plugin.ts';
import { findPod } from '../../pod/pods.ts';
import type { Context } from '../context.ts';

/** Leaves the networks of a pod that has ended: what a start has left for its end. */
export async function run({ globals, args, note }: Context): Promise<number> {
  const pod = findPod(globals.dataDir, args[0] ?? '');
  const plugins = { folders: PLUGIN_FOLDERS, deadline: PLUGIN_DEADLINE };
  leaveNetworks(pod.folder, pod.uuid, plugins, note);
  return 0;
}
