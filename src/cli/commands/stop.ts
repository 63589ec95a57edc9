import { PodError } from '../../pod/error.ts';
import { findPod } from '../../pod/pods.ts';
import { stopPod } from '../../pod/stop.ts';
import type { Context } from '../context.ts';
import { durationFlag } from '../duration.ts';
import { podOperands } from '../pod-operands.ts';

/** Stops pods, all at the same time; one that fails keeps none of the others from being stopped. */
export async function run(context: Context): Promise<number> {
  const { flags, stdout, report } = context;
  const operands = podOperands(context, 1);
  // A bad flag is told before any pod is.
  durationFlag(flags, 'timeout');
  const outcomes = await Promise.allSettled(operands.map((operand) => stopOne(context, operand)));
  let failed = 0;
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') {
      stdout.write(`${outcome.value}\n`);
    } else {
      failed++;
      report(outcome.reason);
    }
  }
  if (failed > 0) throw new PodError('wrong-state', `failed to stop ${failed} pod(s)`);
  return 0;
}

/** Stops one pod, says on stderr how it ended, and gives the line for stdout. */
async function stopOne({ globals, flags, note }: Context, operand: string): Promise<string> {
  const pod = findPod(globals.dataDir, operand);
  if (pod.state === 'exited' || pod.group === 'exited-garbage')
    return `pod "${pod.uuid}" is already stopped`;
  const force = flags.bool('force');
  const ended = await stopPod(pod, { force, patience: durationFlag(flags, 'timeout') });
  const after = force ? '' : ` after ${flags.value('timeout')}`;
  note(`pod "${pod.uuid}" ${ended === 'killed' ? `killed${after}` : 'stopped'}`);
  return `"${pod.uuid}"`;
}
