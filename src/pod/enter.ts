import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { storedImageManifest } from '../appc/index.ts';
import { Store } from '../image/store.ts';
import { readIfExists } from '../os/files.ts';
import { execve } from '../os/syscalls.ts';
import { entryPoint } from '../stage1/contract.ts';
import { enterApp } from '../stage1/enter.ts';
import type { EnterCommand } from '../stage1/enter-plan.ts';
import { POD_FILES, podPid, readPodManifest } from '../stage1/pod-files.ts';
import { PodError } from './error.ts';
import { type Pod, refreshPod } from './pods.ts';
import { isOwnStage1 } from './stage1-choice.ts';

/**
 * Runs a command in an app of a running pod, and gives its exit status. Where the pod has a stage1
 * of somebody else's, this process becomes that one's `enter`.
 *
 * @param wanted the app's name, which a pod of one app does not need
 */
export async function enterPod(
  dataDir: string,
  pod: Pod,
  wanted: string | undefined,
  command: EnterCommand,
): Promise<number> {
  if (pod.state !== 'running')
    throw new PodError('wrong-state', `pod "${pod.uuid}" is not running: it is ${pod.state}`);
  const app = chooseApp(pod, wanted);
  const pid = podPid(pod.folder);
  if (pid === undefined)
    throw (
      hasEnded(dataDir, pod) ??
      new PodError('wrong-state', `pod "${pod.uuid}" is still starting: try again`)
    );
  const manifest = storedImageManifest(
    readFileSync(join(pod.folder, POD_FILES.stage1Manifest), 'utf8'),
  );
  if (isOwnStage1(manifest, pod.folder))
    try {
      return await enterApp({ podFolder: pod.folder, pid, app }, command);
    } catch (error) {
      throw hasEnded(dataDir, pod) ?? error;
    }
  const program = storedProgram(dataDir, pod, entryPoint(manifest, 'enter'));
  process.chdir(pod.folder);
  const argv = [program, `--pid=${pid}`, `--appname=${app}`, '--', ...command.argv];
  return execve(program, argv, { ...definedEnvironment(), TERM: command.term });
}

/** Why a pod that ran a moment ago cannot be entered: it does not any more. */
function hasEnded(dataDir: string, { uuid }: Pod): PodError | undefined {
  const now = refreshPod(dataDir, uuid);
  if (now?.state === 'running') return undefined;
  return new PodError('wrong-state', `pod "${uuid}" has ended: it is ${now?.state ?? 'removed'}`);
}

function chooseApp(pod: Pod, wanted: string | undefined): string {
  const names = readPodManifest(pod.folder).apps.map(({ name }) => name);
  const [only] = names;
  const listed = names.join(', ');
  if (wanted !== undefined) {
    if (names.includes(wanted)) return wanted;
    throw new PodError('unsupported', `pod "${pod.uuid}" has no app "${wanted}", but ${listed}`);
  }
  if (only !== undefined && names.length === 1) return only;
  throw new PodError(
    'unsupported',
    only === undefined
      ? `pod "${pod.uuid}" has no apps`
      : `pod "${pod.uuid}" has several apps (${listed}): choose one with --app`,
  );
}

/**
 * The path of an entry point in the store. The pod has a copy, but what runs in the pod may have
 * written to that, and what we run here has all of the caller's rights.
 */
function storedProgram(dataDir: string, pod: Pod, path: string): string {
  const ids = readIfExists(join(pod.folder, 'stage1TreeStoreID'))?.trim().split('\n') ?? [];
  const store = new Store(dataDir);
  const found = ids
    .reverse()
    .map((id) => join(store.treeRoot(id), path))
    .find(existsSync);
  if (found) return found;
  throw new PodError(
    'no-stage1',
    `cannot enter pod "${pod.uuid}": the stage1 image that it was started with is not in the store any more`,
  );
}

function definedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  );
}
