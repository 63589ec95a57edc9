import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { storedImageManifest } from '../appc/index.ts';
import { errnoOf } from '../os/error.ts';
import { entryPoint } from '../stage1/contract.ts';
import { POD_FILES, podPid, supervisorPid } from '../stage1/pod-files.ts';
import { PodError } from './error.ts';
import type { Pod } from './pods.ts';
import { loadOwnStage1 } from './stage1-choice.ts';

/**
 * Tells a running pod to stop: in order, or with `force` at once. Returns when it has been told,
 * not when it has ended (see `waitFinished`).
 */
export async function stopPod(pod: Pod, force: boolean): Promise<void> {
  if (pod.state !== 'running')
    throw new PodError('wrong-state', `pod "${pod.uuid}" is not running: it is ${pod.state}`);
  const path = join(pod.folder, POD_FILES.stage1Manifest);
  const manifest = storedImageManifest(readFileSync(path, 'utf8'));
  if (await loadOwnStage1(manifest, pod.folder)) return signalSupervisor(pod, force);
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

function signalSupervisor(pod: Pod, force: boolean): void {
  const supervisor = supervisorPid(pod.folder);
  if (supervisor === undefined)
    throw new PodError('wrong-state', `pod "${pod.uuid}" is still starting: try again`);
  if (force) {
    const inner = podPid(pod.folder);
    if (inner !== undefined && inner !== supervisor) signal(inner, 'SIGKILL');
  }
  signal(supervisor, force ? 'SIGKILL' : 'SIGTERM');
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
