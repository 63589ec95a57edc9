import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import {
  bytes,
  type EmptyVolume,
  type HostVolume,
  parseQuantity,
  type TmpfsVolume,
  type Volume,
} from '../../src/appc/index.ts';
import { errnoOf } from '../../src/os/error.ts';
import { makeFolderInRoot, writeInRoot } from '../../src/os/files-in-root.ts';
import { type IdRange, mapMount } from '../../src/os/idmap.ts';
import { inFolderOfRoot, onPathOfRoot } from '../../src/os/inroot.ts';
import { moveOwners } from '../../src/os/move-owners.ts';
import { forbidDevices, MS, mount } from '../../src/os/syscalls.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { shiftOf } from '../../src/stage1/map-roots.ts';
import { type AppMount, usedVolumes } from '../../src/stage1/mounts.ts';
import { POD_FILES } from '../../src/stage1/pod-files.ts';

/** Where a volume is inside the pod, outside the apps' roots. */
export function volumePath(id: string): string {
  return `/rkt/volumes/${id}`;
}

/** Whether a volume is mounted on a folder; otherwise on a file. The host's must exist. */
export function isFolderVolume(volume: Volume): boolean {
  return volume.kind !== 'host' || withSource(volume, (_, stats) => stats.isDirectory());
}

/** A user namespace to map volumes for. */
export interface MappedUsers {
  /** A descriptor of it: src/os/idmap.ts. */
  readonly ids: number;
  readonly users: IdRange;
  /** What is in the pod's folder cannot be mapped, and gets other owners instead. */
  readonly shifted: boolean;
}

/**
 * Mounts every volume that an app uses into the stage1 root, each once. The pod may run already, and its
 * root may have put links there.
 */
export function mountVolumes(
  podFolder: string,
  root: string,
  mounts: readonly AppMount[],
  users?: MappedUsers,
): void {
  for (const used of usedVolumes(mounts)) {
    const place = { root, path: volumePath(used.id) };
    const { volume } = used;
    switch (volume.kind) {
      case 'host':
        withSource(volume, (source, stats) => bindHost(volume, source, stats, place, users));
        break;
      case 'empty':
        makePlace(place, 'folder');
        bindEmpty(volume, emptyFolder(podFolder, used, volume), place, users);
        onPlace(place, forbidDevices);
        break;
      case 'tmpfs':
        makePlace(place, 'folder');
        onPlace(place, (target) => {
          mount('tmpfs', target, 'tmpfs', MS.NOSUID | MS.NODEV, tmpfsOptions(volume, users));
        });
        break;
    }
  }
}

/** A path in the stage1 root. */
interface Place {
  readonly root: string;
  readonly path: string;
}

function makePlace({ root, path }: Place, kind: 'folder' | 'file'): void {
  for (const folder of ['/rkt', '/rkt/volumes']) makeFolderInRoot(root, folder);
  if (kind === 'folder') makeFolderInRoot(root, path);
  else writeInRoot(root, path, '');
}

/** What is mounted there by `action` is seen by the next call. */
function onPlace({ root, path }: Place, action: (target: string) => void): void {
  onPathOfRoot(root, path, action);
}

/** What is mounted below comes along unless it is told not to; a device is there to be used. */
function bindHost(
  volume: HostVolume,
  source: string,
  stats: Stats,
  place: Place,
  users: MappedUsers | undefined,
): void {
  makePlace(place, stats.isDirectory() ? 'folder' : 'file');
  const depth = volume.recursive === false ? 'alone' : 'all';
  const isDevice = stats.isCharacterDevice() || stats.isBlockDevice();
  bindMapped(volume, source, place, depth, isDevice ? undefined : users);
  if (!isDevice) onPlace(place, forbidDevices);
}

function bindEmpty(
  volume: EmptyVolume,
  source: string,
  place: Place,
  users: MappedUsers | undefined,
): void {
  if (users?.shifted) moveOwners(source, shiftOf(users.users));
  bindMapped(volume, source, place, 'alone', users?.shifted ? undefined : users);
}

/** What belongs to N in the volume belongs to N in the pod, whatever the host calls the pod's users. */
function bindMapped(
  { name }: Volume,
  source: string,
  place: Place,
  depth: 'alone' | 'all',
  users: MappedUsers | undefined,
): void {
  if (!users) {
    const flags = depth === 'all' ? MS.BIND | MS.REC : MS.BIND;
    onPlace(place, (target) => mount(source, target, '', flags));
    return;
  }
  try {
    onPlace(place, (target) => mapMount(source, target, users.ids, depth));
  } catch (error) {
    const below =
      depth === 'all' ? ', or one mounted below it (leave those out: recursive=false)' : '';
    throw new Stage1Error(
      'unsupported',
      `cannot mount volume "${name}" with the ids of a user namespace: its file system${below} has no ID-mapped mounts on this kernel`,
      error,
    );
  }
}

const O_PATH = 0o10000000;

/** Follows the path of a host volume once, so that what is looked at is what is mounted. */
function withSource<T>(volume: HostVolume, action: (path: string, stats: Stats) => T): T {
  let fd: number;
  try {
    fd = openSync(volume.source, constants.O_RDONLY | O_PATH);
  } catch (error) {
    const why = errnoOf(error) === 'ENOENT' ? 'does not exist on this host' : 'cannot be opened';
    throw new Stage1Error(
      'app-setup',
      `cannot mount volume "${volume.name}": ${volume.source} ${why}`,
      error,
    );
  }
  try {
    return action(`/proc/self/fd/${fd}`, fstatSync(fd));
  } finally {
    closeSync(fd);
  }
}

/** An empty volume lives in the pod's folder and is shared by all apps that mount it. */
function emptyFolder(podFolder: string, { id, target, seed }: AppMount, volume: EmptyVolume) {
  const shared = join(podFolder, POD_FILES.sharedVolumes);
  const folder = join(shared, id);
  try {
    mkdirSync(shared, { recursive: true, mode: 0o755 });
    mkdirSync(folder);
    chownSync(folder, volume.uid, volume.gid);
    chmodSync(folder, Number.parseInt(volume.mode, 8));
    if (seed) fill(folder, seed, target);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  return folder;
}

/** Gives a new volume what an image has at its place, owner and mode of the folder itself too. */
function fill(folder: string, root: string, path: string): void {
  inFolderOfRoot(root, path, (source) => {
    const fd = openSync(source, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const argv = ['--archive', '--reflink=auto', '/proc/self/fd/3/.', folder];
      const { status, stderr, error } = spawnSync('cp', argv, {
        stdio: ['ignore', 'ignore', 'pipe', fd],
        encoding: 'utf8',
      });
      if (status === 0) return;
      const why = error?.message ?? stderr.trim().split('\n', 1)[0];
      throw new Stage1Error('app-setup', `cannot copy ${path} into its new volume: ${why}`, error);
    } finally {
      closeSync(fd);
    }
  });
}

function tmpfsOptions({ mode, uid, gid, size }: TmpfsVolume, users?: MappedUsers): string {
  const shift = users?.users.shift ?? 0;
  const limit = size === undefined ? [] : [`size=${bytes(parseQuantity(size))}`];
  return [`mode=${mode}`, `uid=${shift + uid}`, `gid=${shift + gid}`, ...limit].join(',');
}
