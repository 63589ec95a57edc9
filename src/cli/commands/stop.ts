import { PodError } from '../../pod/error.ts';
import { findPod } from '../../pod/pods.ts';
import { stopPod } from '../../pod/stop.ts';
import type { Context } from '../context.ts';
import { podOperands } from '../pod-operands.ts';

/** Stops pods; one that fails keeps none of the others from being stopped. */
export async function run(context: Context): Promise<number> {
  const { globals, flags, stdout, report } = context;
  const operands = podOperands(context, 1);
  let failed = 0;
  for (const operand of operands) {
    try {
      const pod = findPod(globals.dataDir, operand);
      if (pod.state === 'exited' || pod.group === 'exited-garbage') {
        stdout.write(`pod "${pod.uuid}" is already stopped\n`);
        continue;
      }
      await stopPod(pod, flags.bool('force'));
      stdout.write(`"${pod.uuid}"\n`);
    } catch (error) {
      failed++;
      report(error);
    }
  }
  if (failed > 0) throw new PodError('wrong-state', `failed to stop ${failed} pod(s)`);
  return 0;
}
