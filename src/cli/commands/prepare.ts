import { keepPrepared } from '../../pod/prepare.ts';
import type { Context } from '../context.ts';
import { preparePodFor } from '../pod-setup.ts';
import { prepareArguments } from '../run-args.ts';

/** Makes a pod that `run-prepared` starts, and prints its UUID. */
export async function run(context: Context): Promise<number> {
  const held = await preparePodFor(context, prepareArguments(context), () => {});
  const pod = keepPrepared(context.globals.dataDir, held);
  held.lock.release();
  context.stdout.write(`${pod.uuid}\n`);
  return 0;
}
