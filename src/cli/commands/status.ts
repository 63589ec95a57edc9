import { holdPod } from '../../pod/hold.ts';
import { type PodInfo, podInfo } from '../../pod/info.ts';
import { checkPodNetworks } from '../../pod/networks.ts';
import { findPod, podRemoved, readPod, refreshPod } from '../../pod/pods.ts';
import { waitFinished, waitReady } from '../../pod/wait.ts';
import type { Context } from '../context.ts';
import { waitFlag } from '../duration.ts';
import { jsonFormat, jsonText, timeText } from '../output.ts';
import { networksText, podJson } from '../pod-json.ts';
import { podOperands } from '../pod-operands.ts';

/** Prints a pod's state, at once or when it has got ready or ended. */
export async function run(context: Context): Promise<number> {
  const { flags, globals, stdout } = context;
  const wait = waitFlag(flags, 'wait');
  const waitForReady = waitFlag(flags, 'wait-ready');
  const found = findPod(globals.dataDir, podOperands(context, 1)[0] ?? '');
  if (waitForReady > 0) await waitReady(globals.dataDir, found, waitForReady);
  if (wait > 0) await waitFinished(globals.dataDir, found, wait);
  const pod = refreshPod(globals.dataDir, found.uuid);
  if (!pod || pod.group === 'garbage') throw podRemoved(found);
  if (flags.bool('check-networks')) await checkPodNetworks(holdPod(globals.dataDir, pod));
  const info = readPod(globals.dataDir, pod, podInfo);
  if (!info) throw podRemoved(found);
  const format = jsonFormat(flags);
  stdout.write(format ? jsonText(podJson(info), format) : statusText(info));
  return 0;
}

const STARTED = ['running', 'deleting', 'exited deleting', 'exited', 'exited garbage'];

function statusText(pod: PodInfo): string {
  const started = STARTED.includes(pod.state);
  const ended = pod.state === 'exited' || pod.state === 'exited garbage';
  const lines = [
    `state=${pod.state}`,
    pod.createdAt && `created=${timeText(pod.createdAt.getTime())}`,
    pod.startedAt && `started=${timeText(pod.startedAt.getTime())}`,
    (pod.state === 'running' || pod.state === 'exited') && `networks=${networksText(pod)}`,
    started && pod.pid !== undefined && `pid=${pod.pid}`,
    started && `exited=${ended}`,
    ...(started && pod.state !== 'running' ? appLines(pod) : []),
  ];
  return lines
    .filter((line) => line)
    .map((line) => `${line}\n`)
    .join('');
}

function appLines(pod: PodInfo): string[] {
  const ended = pod.apps.filter((app) => app.exitCode !== undefined);
  return ended.map((app) => `app-${app.name}=${app.exitCode}`).sort();
}
