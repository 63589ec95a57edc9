import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { runtimeApp } from '../appc/app-plan.ts';
import { type AppRequest, type PodManifest, storedImageManifest } from '../appc/index.ts';
import { isMutable } from '../appc/mutable.ts';
import { serializePodManifest } from '../appc/stored.ts';
import type { Store, StoredImage } from '../image/store.ts';
import { writeFileAtomic } from '../os/files.ts';
import { lockExistingFile } from '../os/lock.ts';
import { markCreated } from '../stage1/app-control.ts';
import { type EntryPoint, entryPoint } from '../stage1/contract.ts';
import { ownersAreShifted } from '../stage1/map-roots.ts';
import { POD_FILES, podPid, readPodManifest } from '../stage1/pod-files.ts';
import { PodError } from './error.ts';
import { podInfo } from './info.ts';
import { appsInfo, discard, install, mapApp } from './mutable-files.ts';
import type { Pod } from './pods.ts';
import { readIdRange } from './private-users.ts';
import { loadStage1Apps, type Stage1Apps } from './stage1-choice.ts';

export interface AddRequest {
  readonly store: Store;
  readonly image: StoredImage;
  readonly app: AppRequest;
  readonly debug: boolean;
}

/**
 * Adds an app to a running mutable pod, without starting it. It is in the pod from the moment in
 * which the manifest names it: what a killed command has left before that is cleared by the next.
 *
 * @returns the app's name
 */
export async function addApp(pod: Pod, request: AddRequest): Promise<string> {
  const { store, image } = request;
  return withApps(pod, async (manifest, stage1) => {
    checkReady(pod);
    // What follows `--` takes the place of the image's own arguments, not of its program.
    const program = request.app.exec ?? image.manifest.app?.exec[0];
    const given = request.app.args.length > 0 && program !== undefined ? { exec: program } : {};
    const app = runtimeApp({ ...request.app, ...given }, image, {
      mounts: [],
      setEnv: [],
      inheritEnv: false,
      callerEnvironment: [],
      envFileEntries: [],
      uid: 0,
      gid: 0,
    });
    checkName(app.name, manifest);
    if (
      readIdRange(pod.folder) &&
      !existsSync(join(pod.folder, 'overlay-prepared')) &&
      !ownersAreShifted(pod.folder)
    )
      throw new PodError(
        'unsupported',
        `pod "${pod.uuid}" has a user namespace and no overlay: no app can be added to it`,
      );
    const next = { ...manifest, apps: [...manifest.apps, app] };
    try {
      await install(store, pod, app.name, image, stage1);
      if (!stage1) writeManifest(pod, next);
      await (stage1
        ? stage1.addApp(pod.folder, next, app)
        : call(pod, 'app/add', app.name, request.debug, [`--uuid=${pod.uuid}`]));
      mapApp(store, pod, app.name, stage1);
      markCreated(pod.folder, app.name);
      writeManifest(pod, next);
    } catch (error) {
      if (!stage1) writeManifest(pod, manifest);
      await discard(pod, app.name, stage1);
      throw error;
    }
    return app.name;
  });
}

/** Starts an app that is not running. One that runs is left alone. */
export async function startApp(pod: Pod, app: string, debug: boolean): Promise<void> {
  await withApps(pod, async (manifest, stage1) => {
    checkHas(manifest, app);
    if (stateOf(pod, app) === 'running') return;
    if (stage1) await stage1.startApp(pod.folder, app);
    else call(pod, 'app/start', app, debug);
  });
}

/**
 * Stops an app, which is killed after `patience` milliseconds; settles once it has ended and its status is
 * recorded. A stage1 that is not ours has a patience of its own, and does not tell.
 */
export async function stopApp(
  pod: Pod,
  app: string,
  { debug, patience }: { debug: boolean; patience: number },
): Promise<'stopped' | 'killed'> {
  return unlessMoved(pod, async () => {
    const manifest = mutableManifest(pod);
    checkHas(manifest, app);
    if (stateOf(pod, app) !== 'running')
      throw new PodError('wrong-state', `app "${app}" is not running`);
    const stage1 = await loadStage1Apps(stage1Manifest(pod), pod.folder);
    if (stage1) return stage1.stopApp(pod.folder, app, patience);
    call(pod, 'app/stop', app, debug);
    return 'stopped';
  });
}

/** Removes an app with all its files, after stopping it; of a pod that has ended only the files. */
export async function removeApp(pod: Pod, app: string, debug: boolean): Promise<void> {
  await withApps(pod, async (manifest, stage1) => {
    checkHas(manifest, app);
    const runs = pod.state === 'running';
    if (runs && stateOf(pod, app) === 'running') {
      if (stage1) await stage1.stopApp(pod.folder, app);
      else call(pod, 'app/stop', app, debug, [], NOT_RUNNING);
    }
    if (runs && !stage1) call(pod, 'app/rm', app, debug);
    writeManifest(pod, { ...manifest, apps: manifest.apps.filter(({ name }) => name !== app) });
    await discard(pod, app, stage1);
  });
}

/** Does something with a mutable pod's apps while nobody else does, after what others left is cleared. */
async function withApps<T>(
  pod: Pod,
  action: (manifest: PodManifest, stage1: Stage1Apps | undefined) => Promise<T>,
): Promise<T> {
  return unlessMoved(pod, async () => {
    mutableManifest(pod);
    const lock = lockExistingFile(join(pod.folder, 'pod.lck'), 'exclusive');
    try {
      const manifest = mutableManifest(pod);
      const stage1 = await loadStage1Apps(stage1Manifest(pod), pod.folder);
      const names = new Set(manifest.apps.map(({ name }) => name));
      for (const name of readdirSync(appsInfo(pod)))
        if (!names.has(name)) await discard(pod, name, stage1);
      return await action(manifest, stage1);
    } finally {
      lock.release();
    }
  });
}

/** What fails because the pod has ended meanwhile, and was collected, fails with that reason. */
async function unlessMoved<T>(pod: Pod, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (existsSync(pod.folder)) throw error;
    throw new PodError('wrong-state', `pod "${pod.uuid}" has ended, and is collected`);
  }
}

function mutableManifest(pod: Pod): PodManifest {
  const manifest = readPodManifest(pod.folder);
  if (isMutable(manifest)) return manifest;
  throw new PodError(
    'wrong-state',
    `pod "${pod.uuid}" is an immutable pod: its apps are those that it was started with`,
  );
}

function checkReady(pod: Pod): void {
  if (pod.state !== 'running')
    throw new PodError('wrong-state', `pod "${pod.uuid}" is not running: it is ${pod.state}`);
  try {
    readlinkSync(join(pod.folder, POD_FILES.ready));
  } catch (error) {
    throw new PodError(
      'wrong-state',
      `supervisor for pod "${pod.uuid}" is not yet ready: see rkt status --wait-ready`,
      error,
    );
  }
}

/** Marks of an app's state are files beside its status: NAME-created and NAME-started. */
function checkName(name: string, { apps }: PodManifest): void {
  for (const other of apps) {
    if (other.name === name)
      throw new PodError('wrong-state', `multiple apps with name ${name}: choose one by --name`);
    for (const suffix of ['-created', '-started'])
      if (other.name === name + suffix || name === other.name + suffix)
        throw new PodError(
          'wrong-state',
          `the names ${name} and ${other.name} cannot be in one pod: choose another by --name`,
        );
  }
}

function checkHas({ apps }: PodManifest, app: string): void {
  if (apps.every(({ name }) => name !== app))
    throw new PodError('wrong-state', `nonexistent app "${app}"`);
}

function stateOf(pod: Pod, app: string): string | undefined {
  return podInfo(pod).apps.find(({ name }) => name === app)?.state;
}

function writeManifest(pod: Pod, manifest: PodManifest): void {
  const complete = join(pod.folder, POD_FILES.completeManifest);
  const file = existsSync(complete) ? complete : join(pod.folder, POD_FILES.manifest);
  writeFileAtomic(file, serializePodManifest(manifest));
}

function stage1Manifest(pod: Pod) {
  return storedImageManifest(readFileSync(join(pod.folder, POD_FILES.stage1Manifest), 'utf8'));
}

/** What a stage1's `app/stop` ends with when there is nothing to stop (contract 3.5). */
const NOT_RUNNING = 5;

/** Calls an entry point that is run outside the pod, and told how to get inside (contract 3.5). */
function call(
  pod: Pod,
  name: EntryPoint,
  app: string,
  debug: boolean,
  more: readonly string[] = [],
  tolerated = 0,
): void {
  const manifest = stage1Manifest(pod);
  const entry = join(POD_FILES.stage1Root, entryPoint(manifest, name));
  const called = spawnSync(`./${entry}`, [`--app=${app}`, `--debug=${debug}`, ...more], {
    cwd: pod.folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      RKT_STAGE1_ENTERCMD: join(POD_FILES.stage1Root, entryPoint(manifest, 'enter')),
      RKT_STAGE1_ENTERPID: String(podPid(pod.folder) ?? ''),
      RKT_STAGE1_ENTERAPP: app,
    },
  });
  if (called.status === 0 || called.status === tolerated) return;
  if (name === 'app/stop' && called.status === NOT_RUNNING)
    throw new PodError('wrong-state', `app "${app}" is not running`);
  throw new PodError(
    'start-failed',
    `${name} of the stage1 of pod "${pod.uuid}" failed for app "${app}"`,
    called.error,
  );
}
