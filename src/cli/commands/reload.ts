import { holdPod } from '../../pod/hold.ts';
import { findPod } from '../../pod/pods.ts';
import { reloadPod } from '../../pod/reload.ts';
import type { Context } from '../context.ts';
import { podOperands } from '../pod-operands.ts';

/** Tells the apps of a pod to read their configuration again, and says which were told. */
export async function run(context: Context): Promise<number> {
  const [uuid = ''] = podOperands(context);
  const { dataDir } = context.globals;
  const names = reloadPod(dataDir, holdPod(dataDir, findPod(dataDir, uuid)));
  context.note(
    names.length > 0
      ? `sent SIGHUP to ${names.join(', ')}`
      : 'no app handles SIGHUP: none was told',
  );
  return 0;
}
