// What a mutable pod has of an app in its folder, and where its root is mounted.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serializeImageManifest } from '../appc/stored.ts';
import { layersOf } from '../image/closure.ts';
import { copyLayers } from '../image/merge.ts';
import type { Store, StoredImage } from '../image/store.ts';
import { errnoOf } from '../os/error.ts';
import { makeFolderInRoot, moveIntoRoot, removeTreeInRoot } from '../os/files-in-root.ts';
import { withIdMap } from '../os/idmap.ts';
import { onPathOfRoot } from '../os/inroot.ts';
import { lockFile } from '../os/lock.ts';
import { mountPoints } from '../os/mount-points.ts';
import { inMountsOf } from '../os/mounts-of.ts';
import { moveOwners } from '../os/move-owners.ts';
import { unmount } from '../os/syscalls.ts';
import { removeMarks } from '../stage1/app-control.ts';
import { ownersAreShifted, shiftOf } from '../stage1/map-roots.ts';
import { isVolumeOf } from '../stage1/mounts.ts';
import { passOn } from '../stage1/pass-on.ts';
import { appRootfs, POD_FILES, podPid, supervisorPid } from '../stage1/pod-files.ts';
import { PodError } from './error.ts';
import { prepareLock } from './layout.ts';
import type { Pod } from './pods.ts';
import { readIdRange } from './private-users.ts';
import type { Stage1Apps } from './stage1-choice.ts';
import { mountAppRoot } from './start.ts';

/** What the pod needs of an image, and the app's root; the trees are the pod's as soon as they are named. */
export async function install(
  store: Store,
  pod: Pod,
  app: string,
  image: StoredImage,
  stage1: Stage1Apps | undefined,
): Promise<void> {
  const trees = lockFile(prepareLock(store.dataDir), 'shared');
  try {
    const ids = await layersOf(store, image);
    const info = join(appsInfo(pod), app);
    mkdirSync(info, { mode: 0o750 });
    writeFileSync(join(info, 'manifest'), serializeImageManifest(image.manifest), { mode: 0o640 });
    if (existsSync(join(pod.folder, 'overlay-prepared')))
      writeFileSync(join(info, 'treeStoreID'), `${ids.join('\n')}\n`, { mode: 0o640 });
    const stage1Root = stage1RootOf(pod);
    removeTreeInRoot(stage1Root, `/opt/stage2/${app}`);
    for (const folder of ['/opt', '/opt/stage2', `/opt/stage2/${app}`, `/${appRootfs(app)}`])
      makeFolderInRoot(stage1Root, folder);
    if (!existsSync(join(info, 'treeStoreID')))
      copyRoot(
        pod,
        app,
        ids.map((id) => store.treeRoot(id)),
      );
  } finally {
    trees.release();
  }
  store.touch(image.key);
  changeMounts(pod, app, stage1, () => mountAppRoot(store, pod.folder, app));
}

/** The copy is made where the pod does not see it, and could not put links in its way. */
function copyRoot(pod: Pod, app: string, layers: readonly string[]): void {
  const scratch = join(pod.folder, 'merged');
  rmSync(scratch, { recursive: true, force: true });
  const [copy, work] = [join(scratch, 'copy'), join(scratch, 'work')];
  for (const folder of [scratch, copy, work]) makeFolder(folder, 0o755);
  copyLayers(layers, copy, work);
  moveIntoRoot(copy, stage1RootOf(pod), `/${appRootfs(app)}`);
  rmSync(scratch, { recursive: true, force: true });
}

/** Mounts an app's root once more for the pod's user namespace, if that has one. */
export function mapApp(store: Store, pod: Pod, app: string, stage1: Stage1Apps | undefined): void {
  const users = readIdRange(pod.folder);
  if (!users) return;
  if (ownersAreShifted(pod.folder)) {
    onPathOfRoot(stage1RootOf(pod), `/${appRootfs(app)}`, (root) =>
      moveOwners(`${root}/.`, shiftOf(users)),
    );
    return;
  }
  changeMounts(pod, app, stage1, () => unmount(rootOf(pod, app)));
  withIdMap(users, (ids) => {
    changeMounts(pod, app, stage1, () => mountAppRoot(store, pod.folder, app, ids));
  });
}

/** Mounts or unmounts an app's root; a stage1 that the pod brought along sees to itself. */
function changeMounts(
  pod: Pod,
  app: string,
  stage1: Stage1Apps | undefined,
  change: () => void,
): void {
  inMountsOf(supervisorOf(pod), change);
  if (stage1) passOn(pod.folder, [rootOf(pod, app)]);
}

function rootOf(pod: Pod, app: string): string {
  return join(stage1RootOf(pod), appRootfs(app));
}

function stage1RootOf(pod: Pod): string {
  return join(pod.folder, POD_FILES.stage1Root);
}

/** Everything of an app that the manifest does not name, so that the next of its name finds nothing. */
export async function discard(
  pod: Pod,
  app: string,
  stage1: Stage1Apps | undefined,
): Promise<void> {
  const root = rootOf(pod, app);
  await stage1?.removeApp(pod.folder, app);
  if (podPid(pod.folder) !== undefined)
    changeMounts(pod, app, stage1, () => {
      if (mountPoints().includes(root)) unmount(root);
    });
  removeMarks(pod.folder, app);
  removeTreeInRoot(stage1RootOf(pod), `/opt/stage2/${app}`);
  const paths = [
    `overlay/${app}`,
    ...ownVolumes(pod, app).map((id) => join(POD_FILES.sharedVolumes, id)),
    ...[app, `${app}.1`].map((name) => join(POD_FILES.logs, name)),
    // Last: as long as it is there, the next command goes on with what is left.
    `appsinfo/${app}`,
  ];
  for (const path of paths) removeTree(join(pod.folder, path));
}

function ownVolumes(pod: Pod, app: string): string[] {
  const folder = join(pod.folder, POD_FILES.sharedVolumes);
  return existsSync(folder) ? readdirSync(folder).filter((id) => isVolumeOf(app, id)) : [];
}

/** A mount that is there after all is not gone into. */
function removeTree(path: string): void {
  const removed = spawnSync('rm', ['-rf', '--one-file-system', '--', path], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (removed.status !== 0)
    throw new PodError('busy', `cannot remove ${path}: ${removed.stderr?.trim()}`, removed.error);
}

/** Where the images of the apps are told of; made if the pod never had any. */
export function appsInfo(pod: Pod): string {
  const folder = join(pod.folder, 'appsinfo');
  makeFolder(folder, 0o750);
  return folder;
}

/** Makes that one alone: the pod may have been moved meanwhile, and its folder is not to be made anew. */
function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

function supervisorOf(pod: Pod): number {
  const pid = supervisorPid(pod.folder);
  if (pid !== undefined) return pid;
  throw new PodError('wrong-state', `pod "${pod.uuid}" has no supervisor: is it still starting?`);
}
