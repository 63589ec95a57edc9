import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageManifest, storedImageManifest } from '../appc/index.ts';
import { errnoOf } from '../os/error.ts';
import { mountPoints } from '../os/mount-points.ts';
import { unmount } from '../os/syscalls.ts';
import { entryPoint } from '../stage1/contract.ts';
import { gc } from '../stage1/gc.ts';
import { POD_FILES } from '../stage1/pod-files.ts';
import { logEvent } from '../systemd/journal.ts';
import { PodError } from './error.ts';
import { endRules, leavePod } from './leave.ts';
import { listPods, lockPod, markedAt, movePod, type Pod } from './pods.ts';
import { isOwnStage1 } from './stage1-choice.ts';

/** Where pods are, and where the networks are defined that they may be in. */
export interface GcFolders {
  readonly dataDir: string;
  readonly localConfig: string;
}

export interface GcOptions {
  /** Milliseconds for which a pod that has ended is kept. */
  readonly gracePeriod: number;
  /** Milliseconds after which a prepared pod is given up. */
  readonly expirePrepared: number;
  readonly markOnly: boolean;
}

export interface GcReport {
  /** A line for the user about what is done. */
  note(message: string): void;
  /** A pod that could not be collected; the others go on. */
  failed(error: unknown): void;
}

/** Collects pods (surface 1.8): marks what has ended, then deletes what was marked long enough. */
export async function collectPods(
  folders: GcFolders,
  options: GcOptions,
  report: GcReport,
): Promise<void> {
  const { dataDir, localConfig } = folders;
  const each = (pods: readonly Pod[], action: (pod: Pod) => Promise<void> | void) =>
    forEachLocked(pods, action, report);
  const mark = (pod: Pod, group: 'garbage' | 'exited-garbage'): Pod => {
    report.note(`moving pod "${pod.uuid}" to garbage`);
    return movePod(dataDir, pod, group);
  };
  const giveUp = (pod: Pod) => void mark(pod, 'garbage');
  const isKept = (pod: Pod) => Date.now() - markedAt(pod).getTime() < options.gracePeriod;
  const leave = (pod: Pod) => leavePod(pod, localConfig, report.note);
  // What the collection that had marked a pod could not end, or was killed before.
  if (!options.markOnly)
    await each(inState(dataDir, 'exited-garbage', 'exited garbage').filter(isKept), leave);
  await each(inState(dataDir, 'run', 'exited'), async (pod) => {
    // Whoever waits for its end may use its ports then.
    await endRules(pod);
    // The slow rest after the move: among those that run it would pass for running meanwhile.
    await leave(mark(pod, 'exited-garbage'));
  });
  await each(inState(dataDir, 'prepare', 'aborted prepare'), giveUp);
  await each(inState(dataDir, 'embryo', 'embryo'), giveUp);
  if (options.markOnly) return;
  const expired = (pod: Pod) => Date.now() - preparedAt(pod) > options.expirePrepared;
  await each(inState(dataDir, 'prepared', 'prepared').filter(expired), giveUp);
  await each(inState(dataDir, 'exited-garbage', 'exited garbage'), (pod) => {
    if (isKept(pod))
      return report.note(
        `pod "${pod.uuid}" not removed: still within grace period (${durationText(options.gracePeriod)})`,
      );
    report.note(`Garbage collecting pod "${pod.uuid}"`);
    return deletePod(folders, pod);
  });
  await each(inState(dataDir, 'garbage', 'garbage'), (pod) => {
    report.note(`Garbage collecting pod "${pod.uuid}"`);
    return deletePod(folders, pod);
  });
}

/** `1h30m`, `45s`: milliseconds as Go writes a duration, without the parts that are zero. */
function durationText(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  const parts: [number, string][] = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  return (
    parts.flatMap(([amount, unit]) => (amount > 0 ? [`${amount}${unit}`] : [])).join('') || '0s'
  );
}

const REFUSED = new Map([
  ['running', 'currently running'],
  ['embryo', 'currently being prepared'],
  ['preparing', 'currently being prepared'],
  ['deleting', 'currently being deleted'],
  ['exited deleting', 'currently being deleted'],
]);

/** Deletes one pod now, whatever it has become; refuses one that somebody works on. */
export async function removePod(folders: GcFolders, pod: Pod): Promise<void> {
  const refused = REFUSED.get(pod.state);
  if (refused) throw new PodError('wrong-state', `pod "${pod.uuid}" is ${refused}`);
  const lock = lockPod(pod);
  if (!lock)
    throw new PodError('busy', `pod "${pod.uuid}" is in use by another command: try again`);
  try {
    await deletePod(folders, pod);
  } finally {
    lock.release();
  }
}

/** Calls the action for each pod whose lock is free; an error is reported and goes no further. */
async function forEachLocked(
  pods: readonly Pod[],
  action: (pod: Pod) => Promise<void> | void,
  report: GcReport,
): Promise<void> {
  for (const pod of pods) {
    const lock = lockPod(pod);
    if (!lock) continue;
    try {
      await action(pod);
    } catch (error) {
      report.failed(error);
    } finally {
      lock.release();
    }
  }
}

function inState(dataDir: string, group: Pod['group'], state: Pod['state']): Pod[] {
  return listPods(dataDir, [group]).filter((pod) => pod.state === state);
}

function preparedAt(pod: Pod): number {
  return statSync(pod.folder).ctimeMs;
}

/** Deletes a pod whose lock is held (surface 2.7); what fails half-way is garbage for the next gc. */
async function deletePod({ dataDir, localConfig }: GcFolders, found: Pod): Promise<void> {
  const pod = found.group === 'garbage' ? found : movePod(dataDir, found, 'garbage');
  await leavePod(pod, localConfig, (message) => process.stderr.write(`rkt: ${message}\n`));
  callStage1Gc(pod);
  unmountBelow(pod.folder);
  const removed = spawnSync('rm', ['-rf', '--one-file-system', '--', pod.folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (removed.status === 0)
    return logEvent({
      kind: 'pod-removed',
      message: `Pod ${pod.uuid} was removed`,
      code: 'src/pod/gc.ts:deletePod',
      fields: [['RKT_POD', pod.uuid]],
    });
  const reason = removed.stderr?.toString().trim().split('\n')[0];
  throw new PodError('busy', `cannot remove pod "${pod.uuid}": ${reason}`, removed.error);
}

/** The stage1 clears what it made outside the pod's folder. */
function callStage1Gc(pod: Pod): void {
  const manifest = stage1Manifest(pod);
  if (!manifest) return;
  if (isOwnStage1(manifest, pod.folder)) {
    gc(pod.folder);
    return;
  }
  const entry = join(POD_FILES.stage1Root, entryPoint(manifest, 'gc'));
  spawnSync(`./${entry}`, [pod.uuid], { cwd: pod.folder, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Undefined where the manifest is missing or half written: such a pod was never run. */
function stage1Manifest(pod: Pod): ImageManifest | undefined {
  try {
    return storedImageManifest(readFileSync(join(pod.folder, POD_FILES.stage1Manifest), 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Mounts that a foreign stage1 made in the host's namespace, deepest first. */
function unmountBelow(folder: string): void {
  const mounted = mountPoints().filter((path) => path.startsWith(`${folder}/`));
  for (const path of mounted.sort().reverse()) unmount(path);
}
