import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readlinkSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { POD_FILES } from '../stage1/pod-files.ts';
import { PodError } from './error.ts';
import { holdPod } from './hold.ts';
import { groupFolder } from './layout.ts';
import { type Pod, refreshPod } from './pods.ts';

/**
 * Waits until a pod has ended, which is when its lock is free, for at most `patience` milliseconds.
 * Throws PodError `timeout` otherwise.
 */
export async function waitFinished(dataDir: string, pod: Pod, patience: number): Promise<void> {
  const until = Date.now() + patience;
  const running = await waitStarted(dataDir, pod, until, 'to finish');
  if (running?.state !== 'running') return;
  if (await lockIsFree(running.folder, until)) return;
  throw new PodError('timeout', `error waiting for pod to finish: pod "${pod.uuid}" still runs`);
}

/** Waits until every app of a pod has been started; an error when the pod ends before. */
export async function waitReady(dataDir: string, pod: Pod, patience: number): Promise<void> {
  const until = Date.now() + patience;
  const found = await waitStarted(dataDir, pod, until, 'readiness');
  const failure = (why: string) =>
    new PodError('timeout', `error waiting for pod readiness: pod "${pod.uuid}" ${why}`);
  if (!found) throw failure('is gone');
  const running = holdPod(dataDir, found);
  if (isReady(running)) return;
  if (running.state !== 'running') throw failure(`is ${running.state}`);
  const stop = new AbortController();
  const ended = lockIsFree(running.folder, until, stop.signal);
  const ready = watchUntil(
    dirname(join(running.folder, POD_FILES.ready)),
    () => isReady(running),
    stop.signal,
  );
  try {
    const first = await Promise.race([
      ready.then(() => 'ready'),
      ended.then((free) => (free ? 'ended' : 'late')),
    ]);
    if (first === 'ready' || isReady(running)) return;
    throw failure(first === 'ended' ? 'has ended' : 'is not ready yet');
  } finally {
    stop.abort();
  }
}

function isReady(pod: Pod): boolean {
  try {
    // Our own stage1 has the path in the pod, which ends in the word.
    return basename(readlinkSync(join(pod.folder, POD_FILES.ready))) === 'ready';
  } catch {
    return false;
  }
}

/** The pod once it is neither prepared nor being prepared; undefined when it is gone. */
async function waitStarted(
  dataDir: string,
  pod: Pod,
  until: number,
  wanted: 'to finish' | 'readiness',
): Promise<Pod | undefined> {
  for (;;) {
    const now = refreshPod(dataDir, pod.uuid);
    if (!now || !['embryo', 'preparing', 'prepared'].includes(now.state)) return now;
    if (Date.now() >= until)
      throw new PodError(
        'timeout',
        `error waiting for pod ${wanted}: pod "${pod.uuid}" is still ${now.state}`,
      );
    await waitMoved(dataDir, now, until);
  }
}

/** Until a pod leaves its group of folders, to run or to be removed, or dies while it is prepared. */
async function waitMoved(dataDir: string, pod: Pod, until: number): Promise<void> {
  const stop = new AbortController();
  const late = Number.isFinite(until)
    ? setTimeout(() => stop.abort(), Math.max(0, until - Date.now()))
    : undefined;
  const isGone = () => !existsSync(pod.folder);
  const moved = watchUntil(groupFolder(dataDir, pod.group), isGone, stop.signal);
  try {
    await (pod.state === 'preparing'
      ? Promise.race([moved, lockIsFree(pod.folder, until, stop.signal)])
      : moved);
  } finally {
    clearTimeout(late);
    stop.abort();
  }
}

/** Settles when the condition holds, which is looked at whenever the folder changes, or at abort. */
async function watchUntil(
  folder: string,
  condition: () => boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const watcher = watch(folder, () => {
      if (condition()) finish();
    });
    const finish = () => {
      watcher.close();
      resolve();
    };
    watcher.on('error', reject);
    signal?.addEventListener('abort', finish);
    if (signal?.aborted || condition()) finish();
  });
}

/** Whether a pod's lock gets free in time. The kernel wakes the one who waits: flock(1). */
export async function lockIsFree(
  folder: string,
  until: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const limit = Number.isFinite(until)
    ? [`--timeout=${Math.max(0.001, (until - Date.now()) / 1000)}`]
    : [];
  // By descriptor: given a path that is gone, flock would make it.
  let fd: number;
  try {
    fd = openSync(folder, 'r');
  } catch (error) {
    // A pod that has ended may be collected at any moment.
    if (errnoOf(error) === 'ENOENT') return true;
    throw error;
  }
  const waiter = spawn('flock', ['--shared', ...limit, '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
  });
  closeSync(fd);
  signal?.addEventListener('abort', () => waiter.kill());
  return new Promise((resolve, reject) => {
    waiter.once('error', reject);
    waiter.once('exit', (code) => resolve(code === 0));
  });
}
