import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { checkRunnable, type PodManifest, serializeImageManifest } from '../appc/index.ts';
import { layersOf } from '../image/closure.ts';
import { copyLayers } from '../image/merge.ts';
import type { Store, StoredImage } from '../image/store.ts';
import { errnoOf } from '../os/error.ts';
import { ensureFolder } from '../os/files.ts';
import { type Lock, lockFile } from '../os/lock.ts';
import { syncfs } from '../os/syscalls.ts';
import { appRootfs, POD_FILES } from '../stage1/pod-files.ts';
import { PodError } from './error.ts';
import { GROUPS, groupFolder, podFolder, prepareLock } from './layout.ts';
import { lockPod, movePod, type Pod } from './pods.ts';
import { chooseIdRange, chooseShifting } from './private-users.ts';
import { overlayProblem } from './rootfs.ts';
import { installStage1, type Stage1Choice } from './stage1-choice.ts';

export interface PrepareRequest {
  readonly store: Store;
  /** Complete: every app has a section, every mount a volume. */
  readonly manifest: PodManifest;
  /** What a user gave as the manifest, which is kept as it is. */
  readonly givenManifest?: string;
  /** One for each app, in the same order. */
  readonly images: readonly StoredImage[];
  readonly stage1: Stage1Choice;
  readonly noOverlay: boolean;
  /** The pod is to have a user namespace of its own. */
  readonly privateUsers?: boolean;
  /** Called with the UUID before anything else is done. */
  readonly announce: (uuid: string) => void;
  readonly warn: (message: string) => void;
}

/** A pod whose folder this process holds the lock of. */
export interface HeldPod {
  readonly pod: Pod;
  readonly lock: Lock;
}

/**
 * Makes a new pod's folder, complete but for being in the right group (surface 2.4): the caller
 * moves it on. When it fails, nothing of the pod is left.
 */
export async function preparePod(request: PrepareRequest): Promise<HeldPod> {
  for (const image of request.images) checkRunnable(image.manifest.labels);
  const { stage1, store } = request;
  if (request.privateUsers && stage1.kind === 'own' && stage1.flavour === 'fly')
    throw new PodError(
      'unsupported',
      'the fly stage1 has no namespaces, so none of users either: leave --private-users out',
    );
  const held = createPod(request.store.dataDir);
  try {
    request.announce(held.pod.uuid);
    const trees = lockFile(prepareLock(request.store.dataDir), 'shared');
    try {
      const layers: string[][] = [];
      for (const image of request.images) layers.push(await layersOf(request.store, image));
      const stage1Layers = stage1.kind === 'stored' ? await layersOf(store, stage1.image) : [];
      fill(held.pod, request, layers, stage1Layers);
    } finally {
      trees.release();
    }
    return held;
  } catch (error) {
    rmSync(held.pod.folder, { recursive: true, force: true });
    held.lock.release();
    throw error;
  }
}

/** Makes all that a prepared pod consists of durable and puts it with the prepared ones. */
export function keepPrepared(dataDir: string, { pod, lock }: HeldPod): Pod {
  syncfs(lock.fd);
  return movePod(dataDir, pod, 'prepared');
}

function createPod(dataDir: string): HeldPod {
  for (const group of GROUPS) ensureFolder(groupFolder(dataDir, group));
  // A collection at the same time may take a folder that nobody has locked yet: make another.
  for (;;) {
    const held = tryCreatePod(dataDir);
    if (held) return held;
  }
}

function tryCreatePod(dataDir: string): HeldPod | undefined {
  // The kernel's random UUIDs are of version 4, and cheaper than loading a library for them.
  const uuid = readFileSync('/proc/sys/kernel/random/uuid', 'utf8').trim();
  const embryo = podFolder(dataDir, 'embryo', uuid);
  mkdirSync(embryo, { mode: 0o750 });
  const lock = lockPod({ uuid, group: 'embryo', folder: embryo, state: 'embryo' });
  if (!lock) return undefined;
  const folder = podFolder(dataDir, 'prepare', uuid);
  try {
    renameSync(embryo, folder);
  } catch (error) {
    lock.release();
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  return { pod: { uuid, group: 'prepare', folder, state: 'preparing' }, lock };
}

function fill(
  pod: Pod,
  request: PrepareRequest,
  layersOfImages: readonly string[][],
  stage1Layers: readonly string[],
): void {
  const path = (name: string) => join(pod.folder, name);
  const shifted = request.privateUsers === true && mustShift(pod, request);
  const overlay = !request.noOverlay && !shifted && canOverlay(request);
  mkdirSync(path(POD_FILES.status), { recursive: true, mode: 0o755 });
  installStage1(request.store, request.stage1, stage1Layers, pod.folder);
  request.manifest.apps.forEach((app, index) => {
    const [image, ids] = [request.images[index], layersOfImages[index]];
    if (!image || !ids) throw new PodError('start-failed', `app "${app.name}" has no image`);
    const info = path(join('appsinfo', app.name));
    mkdirSync(info, { recursive: true, mode: 0o750 });
    write(join(info, 'manifest'), serializeImageManifest(image.manifest));
    const root = path(join(POD_FILES.stage1Root, appRootfs(app.name)));
    mkdirSync(root, { recursive: true, mode: 0o755 });
    const layers = ids.map((id) => request.store.treeRoot(id));
    if (overlay) write(join(info, 'treeStoreID'), `${ids.join('\n')}\n`);
    else copyLayers(layers, root, path(join('merged', app.name)));
    request.store.touch(image.key);
  });
  if (!overlay) rmSync(path('merged'), { recursive: true, force: true });
  write(path('pod.lck'), '', 0o600);
  const text = JSON.stringify(request.manifest);
  write(path(POD_FILES.manifest), request.givenManifest ?? text);
  if (request.givenManifest !== undefined) write(path(POD_FILES.completeManifest), text);
  write(path('pod-created'), '');
  if (overlay) write(path('overlay-prepared'), '');
}

/** Gives the pod its users; true when its files have to get owners of their own. */
function mustShift(pod: Pod, { store, warn }: PrepareRequest): boolean {
  const users = chooseIdRange(store.dataDir, pod.folder);
  const problem = chooseShifting(store.dataDir, pod.folder, users);
  if (problem) warn(`--private-users: the images are copied for this pod: ${problem}`);
  return problem !== undefined;
}

function canOverlay(request: PrepareRequest): boolean {
  const problem = overlayProblem(request.store.dataDir);
  if (problem) request.warn(`disabling overlay support: ${problem}`);
  return problem === undefined;
}

function write(path: string, text: string, mode = 0o640): void {
  const fd = openSync(path, 'wx', mode);
  try {
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
