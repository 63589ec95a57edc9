import { podInfo } from '../../pod/info.ts';
import { findPod, podRemoved, readPod } from '../../pod/pods.ts';
import { failingWith1 } from '../app-commands.ts';
import type { Context } from '../context.ts';
import { jsonFormat, jsonText, tableText } from '../output.ts';
import { appJson } from '../pod-json.ts';

/** Lists the apps of a pod with their states. */
export function run({ args, flags, globals, stdout }: Context): Promise<number> {
  return failingWith1(async () => {
    const found = findPod(globals.dataDir, args[0] ?? '');
    const pod = readPod(globals.dataDir, found, podInfo);
    if (!pod) throw podRemoved(found);
    const format = jsonFormat(flags);
    if (format) {
      stdout.write(jsonText(pod.apps.map(appJson), format));
      return 0;
    }
    const rows = pod.apps.map(({ name, state }) => [name, state]);
    stdout.write(tableText(flags.bool('no-legend') ? rows : [['NAME', 'STATE'], ...rows]));
    return 0;
  });
}
