import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageManifest, storedImageManifest } from '../appc/index.ts';
import { entryPoint } from '../stage1/contract.ts';
import { POD_FILES } from '../stage1/pod-files.ts';
import { killApps, stop } from '../stage1/stop.ts';
import { logEvent } from '../systemd/journal.ts';
import { PodError } from './error.ts';
import { endRules } from './leave.ts';
import type { Pod } from './pods.ts';
import { isOwnStage1 } from './stage1-choice.ts';
import { lockIsFree } from './wait.ts';

/** How long what was killed may take to be gone, in milliseconds. */
const DYING = 10_000;

/**
 * Ends a running pod, one that is starting too: tells its apps to stop, waits for at most `patience`
 * milliseconds, then kills them; with `force` kills at once. Returns how it ended.
 */
export async function stopPod(
  pod: Pod,
  how: { force: boolean; patience: number },
): Promise<'stopped' | 'killed'> {
  const result = await endPod(pod, how);
  await endRules(pod);
  logEvent({
    kind: 'pod-stopped',
    message: `Pod ${pod.uuid} was ${result}`,
    code: 'src/pod/stop.ts:stopPod',
    fields: [['RKT_POD', pod.uuid]],
  });
  return result;
}

async function endPod(
  pod: Pod,
  how: { force: boolean; patience: number },
): Promise<'stopped' | 'killed'> {
  if (pod.state !== 'running')
    throw new PodError('wrong-state', `pod "${pod.uuid}" is not running: it is ${pod.state}`);
  try {
    return await endRunning(pod, how);
  } catch (error) {
    // It has ended by itself, and a collection has moved it.
    if (!existsSync(pod.folder)) return 'stopped';
    throw error;
  }
}

async function endRunning(
  pod: Pod,
  { force, patience }: { force: boolean; patience: number },
): Promise<'stopped' | 'killed'> {
  const until = Date.now() + patience;
  const manifest = storedImageManifest(
    readFileSync(join(pod.folder, POD_FILES.stage1Manifest), 'utf8'),
  );
  const own = isOwnStage1(manifest, pod.folder);
  const tell = (byForce: boolean) =>
    own ? stop(pod.folder, byForce, patience) : callStop(pod, manifest, byForce);
  if (!force) {
    await tell(false);
    if (await lockIsFree(pod.folder, until)) return 'stopped';
    // What the killed apps leave to do is short: to record it, and to end.
    if (own) killApps(pod.folder);
    if (own && (await lockIsFree(pod.folder, Date.now() + DYING))) return 'killed';
  }
  await tell(true);
  if (await lockIsFree(pod.folder, Date.now() + DYING)) return 'killed';
  throw new PodError('busy', `cannot stop pod "${pod.uuid}": it was killed, and is still there`);
}

async function callStop(pod: Pod, manifest: ImageManifest, force: boolean): Promise<void> {
  const entry = join(POD_FILES.stage1Root, entryPoint(manifest, 'stop'));
  const argv = [...(force ? ['--force'] : []), pod.uuid];
  const stopped = spawnSync(`./${entry}`, argv, {
    cwd: pod.folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (stopped.status !== 0)
    throw new PodError(
      'start-failed',
      `stage1 of pod "${pod.uuid}" failed to stop it`,
      stopped.error,
    );
}
