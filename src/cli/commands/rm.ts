import { PodError } from '../../pod/error.ts';
import { removePod } from '../../pod/gc.ts';
import { findPod } from '../../pod/pods.ts';
import { whenFree } from '../../pod/when-free.ts';
import type { Context } from '../context.ts';
import { podOperands } from '../pod-operands.ts';

/** Removes pods; one that fails keeps none of the others from being removed. */
export async function run(context: Context): Promise<number> {
  const { globals, stdout, report } = context;
  let failed = false;
  for (const operand of podOperands(context)) {
    try {
      const pod = findPod(globals.dataDir, operand);
      await whenFree(globals.dataDir, pod, (free) => removePod(globals, free));
      stdout.write(`"${pod.uuid}"\n`);
    } catch (error) {
      failed = true;
      report(error);
    }
  }
  if (failed) throw new PodError('wrong-state', 'failed to remove one or more pods');
  return 0;
}
