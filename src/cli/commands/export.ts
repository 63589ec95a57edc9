import { exportPod } from '../../pod/export.ts';
import { findPod } from '../../pod/pods.ts';
import { whenFree } from '../../pod/when-free.ts';
import type { Context } from '../context.ts';

/** Makes an ACI of what an app of a pod has left. */
export async function run({ args, flags, globals }: Context): Promise<number> {
  const [uuid = '', output = ''] = args;
  const app = flags.value('app');
  const request = {
    ...(app === undefined ? {} : { app }),
    output,
    overwrite: flags.bool('overwrite'),
    diff: flags.bool('diff'),
  };
  const { dataDir } = globals;
  await whenFree(dataDir, findPod(dataDir, uuid), (pod) => exportPod(dataDir, pod, request));
  return 0;
}
