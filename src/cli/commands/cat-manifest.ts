import { podManifestText } from '../../pod/info.ts';
import { findPod, podRemoved, readPod } from '../../pod/pods.ts';
import type { Context } from '../context.ts';
import { jsonText } from '../output.ts';
import { podOperands } from '../pod-operands.ts';

/** Prints a pod's manifest. */
export async function run(context: Context): Promise<number> {
  const pod = findPod(context.globals.dataDir, podOperands(context)[0] ?? '');
  const text = readPod(context.globals.dataDir, pod, podManifestText);
  if (text === undefined) throw podRemoved(pod);
  const pretty = context.flags.bool('pretty-print');
  context.stdout.write(pretty ? jsonText(JSON.parse(text), 'json-pretty') : `${text.trimEnd()}\n`);
  return 0;
}
