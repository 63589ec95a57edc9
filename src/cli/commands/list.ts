import { type PodSummary, podInfo, podSummary } from '../../pod/info.ts';
import { listPods, type Pod, readPod } from '../../pod/pods.ts';
import type { Context } from '../context.ts';
import {
  agoText,
  briefKey,
  jsonFormat,
  jsonText,
  shortUuid,
  tableText,
  timeText,
} from '../output.ts';
import { networksText, podJson } from '../pod-json.ts';

/** Lists pods in every state but embryo and garbage, the oldest first. */
export async function run(context: Context): Promise<number> {
  const { flags, stdout } = context;
  const format = jsonFormat(flags);
  if (format) {
    const pods = readPods(context, podInfo);
    stdout.write(jsonText(pods.length > 0 ? pods.map(podJson) : null, format));
    return 0;
  }
  const full = flags.bool('full');
  const header = [
    'UUID',
    'APP',
    'IMAGE NAME',
    ...(full ? ['IMAGE ID'] : []),
    'STATE',
    'CREATED',
    'STARTED',
    'NETWORKS',
  ];
  const rows = readPods(context, podSummary).flatMap((pod) => podRows(pod, full));
  stdout.write(tableText(flags.bool('no-legend') ? rows : [header, ...rows]));
  return 0;
}

/** A pod that cannot be read is reported and does not keep the others from being listed. */
function readPods<Info extends PodSummary>(
  { globals, report }: Context,
  read: (pod: Pod) => Info,
): Info[] {
  const found = listPods(globals.dataDir, [
    'prepare',
    'prepared',
    'run',
    'exited-garbage',
    'garbage',
  ]);
  return found
    .filter((pod) => pod.state !== 'garbage')
    .flatMap((pod) => {
      try {
        const info = readPod(globals.dataDir, pod, read);
        return info ? [info] : [];
      } catch (error) {
        if (pod.group !== 'prepare')
          report(new Error(`pod "${pod.uuid}" cannot be read`, { cause: error }));
        return [];
      }
    })
    .sort((a, b) => created(a) - created(b));
}

function podRows(pod: PodSummary, full: boolean): string[][] {
  const time = (date: Date | undefined) =>
    date ? (full ? timeText : agoText)(date.getTime()) : '';
  const uuid = full ? pod.uuid : shortUuid(pod.uuid);
  const own = [pod.state, time(pod.createdAt), time(pod.startedAt), networksText(pod)];
  if (pod.apps.length === 0) return [[uuid, '-', '-', ...(full ? ['-'] : []), ...own]];
  return pod.apps.map((app, index) => {
    const image = [app.imageName ?? '--', ...(full ? [briefKey(app.imageId)] : [])];
    return index === 0
      ? [uuid, app.name, ...image, ...own]
      : ['', app.name, ...image, '', '', '', ''];
  });
}

function created(pod: PodSummary): number {
  return pod.createdAt?.getTime() ?? 0;
}
