import { exportPod } from '../../pod/export.ts';
import { findPod } from '../../pod/pods.ts';
import type { Context } from '../context.ts';

/** Makes an ACI of what an app of a pod has left. */
export async function run({ args, flags, globals }: Context): Promise<number> {
  const [uuid = '', output = ''] = args;
  const app = flags.value('app');
  await exportPod(globals.dataDir, findPod(globals.dataDir, uuid), {
    ...(app === undefined ? {} : { app }),
    output,
    overwrite: flags.bool('overwrite'),
    diff: flags.bool('diff'),
  });
  return 0;
}
