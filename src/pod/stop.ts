import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { storedImageManifest } from '../appc/index.ts';
import { entryPoint } from '../stage1/contract.ts';
import { POD_FILES } from '../stage1/pod-files.ts';
import { stop } from '../stage1/stop.ts';
import { PodError } from './error.ts';
import type { Pod } from './pods.ts';
import { isOwnStage1 } from './stage1-choice.ts';

/**
 * Tells a running pod to stop: in order, or with `force` at once. Returns when it has been told,
 * not when it has ended (see `waitFinished`).
 */
export async function stopPod(pod: Pod, force: boolean): Promise<void> {
  if (pod.state !== 'running')
    throw new PodError('wrong-state', `pod "${pod.uuid}" is not running: it is ${pod.state}`);
  const path = join(pod.folder, POD_FILES.stage1Manifest);
  const manifest = storedImageManifest(readFileSync(path, 'utf8'));
  if (isOwnStage1(manifest, pod.folder)) {
    stop(pod.folder, force);
    return;
  }
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
