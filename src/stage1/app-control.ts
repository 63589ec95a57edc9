import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { removeInRoot, writeInRoot } from '../os/files-in-root.ts';
import { Stage1Error } from './error.ts';
import { systemctlInPod, TIMED_OUT } from './in-pod.ts';
import { POD_FILES, podPid } from './pod-files.ts';
import { extendPatience } from './stop.ts';

/** Apps of a running pod whose first process is a systemd of ours. */

/** The unit of the pod that has its turn when what apps ended with is recorded. */
export const SETTLE = 'rkt_settle.service';

/** What files that tell of an app's end have behind its name. */
const ENDED = ['', '_signal', '_stopping', '_ends', '_last'] as const;

/** Has systemd read its units again. */
export function reload(podFolder: string): void {
  manage(podFolder, 'daemon-reload');
}

/**
 * Starts an app that has not been started, or has ended: the marks that tell its state go first.
 *
 * @throws Stage1Error `app-setup` when it could not be executed
 */
export function startApp(podFolder: string, app: string): void {
  for (const name of ['-started', ...ENDED]) removeMark(podFolder, `${app}${name}`);
  makeMark(podFolder, `${app}-started`);
  const init = initOf(podFolder);
  const words = ['start', `${app}.service`];
  const { status, stderr } = systemctlInPod(init, words);
  if (status !== 0 && !ranAndFailed(init, app)) throw refused(words, status, stderr);
}

/** What systemd says that a process ended with, of which it could not execute the program: systemd.exec(5). */
const NOT_EXECUTED = 200;

/** Whether an app ended before systemd had seen that it was executed, which it reports as a failed start. */
function ranAndFailed(init: number, app: string): boolean {
  const words = ['show', '--property=Result,ExecMainStatus', `${app}.service`];
  const { stdout } = systemctlInPod(init, words);
  const [, status] =
    /^Result=(?:exit-code|signal|core-dump)\nExecMainStatus=(\d+)$/.exec(stdout) ?? [];
  return status !== undefined && Number(status) < NOT_EXECUTED;
}

/** How long an app has to stop in order, in milliseconds, unless it is told otherwise. */
const PATIENCE = 10_000;

/**
 * Stops an app, which is killed after `patience` milliseconds; comes back when its status is recorded.
 *
 * @throws Stage1Error `not-started` for a pod that does not run, `app-setup` when systemd refuses
 */
export async function stopApp(
  podFolder: string,
  app: string,
  patience = PATIENCE,
): Promise<'stopped' | 'killed'> {
  const unit = `${app}.service`;
  makeMark(podFolder, `${app}_stopping`);
  extendPatience(podFolder, initOf(podFolder), patience);
  const { status: ended } = systemctlInPod(initOf(podFolder), ['stop', unit], patience);
  const how = ended === TIMED_OUT ? 'killed' : 'stopped';
  if (how === 'killed') manage(podFolder, 'kill', '--signal=KILL', unit);
  if (ended !== 0) manage(podFolder, 'stop', unit);
  // Pods that an older rkt has started have none.
  if (existsSync(join(podFolder, POD_FILES.stage1Root, 'rkt/units', SETTLE)))
    manage(podFolder, 'start', SETTLE);
  // It is not read: what has its name is whatever the pod has made there.
  const status = join(podFolder, POD_FILES.status, app);
  const until = Date.now() + RECORDING;
  while (!existsSync(status) && podPid(podFolder) !== undefined) {
    if (Date.now() > until)
      throw new Stage1Error('app-setup', `app "${app}" has stopped, and left no status`);
    await delay(10);
  }
  return how;
}

/** How long a status may take to be recorded, in milliseconds: until all output is passed on. */
const RECORDING = 10_000;

/** Marks an app as made. */
export function markCreated(podFolder: string, app: string): void {
  makeMark(podFolder, `${app}-created`);
}

function makeMark(podFolder: string, name: string): void {
  writeInRoot(join(podFolder, POD_FILES.stage1Root), `/rkt/status/${name}`, '');
}

function removeMark(podFolder: string, name: string): void {
  removeInRoot(join(podFolder, POD_FILES.stage1Root), `/rkt/status/${name}`);
}

/** Removes all that tells of an app's state. */
export function removeMarks(podFolder: string, app: string): void {
  for (const name of ['-created', '-started', ...ENDED]) removeMark(podFolder, `${app}${name}`);
}

function manage(podFolder: string, ...words: readonly string[]): void {
  const { status, stderr } = systemctlInPod(initOf(podFolder), words);
  if (status !== 0) throw refused(words, status, stderr);
}

function refused(words: readonly string[], status: number | null, stderr: string): Stage1Error {
  const why = stderr.split('\n')[0] || `systemctl ended with ${status}`;
  return new Stage1Error('app-setup', `the pod's systemd refused to ${words.join(' ')}: ${why}`);
}

function initOf(podFolder: string): number {
  const init = podPid(podFolder);
  if (init === undefined) throw new Stage1Error('not-started', 'the pod is not running');
  return init;
}
