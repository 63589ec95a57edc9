import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readIfExists } from '../os/files.ts';
import { mapMount } from '../os/idmap.ts';
import { forbidDevices, MS, mount, unmount } from '../os/syscalls.ts';
import { PodError } from './error.ts';

/** Root file systems of apps: overlays of their images' layers. */

const NO_UPPER = new Map([
  [0x61756673, 'aufs'],
  [0x2fc12fc1, 'zfs'],
  [0x794c7630, 'overlayfs'],
]);

/** Why a pod below `dataDir` cannot use overlayfs, or undefined when it can (surface 2.6). */
export function overlayProblem(dataDir: string): string | undefined {
  const type = NO_UPPER.get(statfsSync(dataDir).type);
  if (type) return `${dataDir} is on ${type}, which cannot hold an overlay's changes`;
  if (readIfExists('/proc/filesystems')?.includes('\toverlay\n')) return undefined;
  spawnSync('modprobe', ['--quiet', 'overlay'], { stdio: 'ignore' });
  if (readIfExists('/proc/filesystems')?.includes('\toverlay\n')) return undefined;
  return 'the kernel has no overlayfs';
}

/**
 * Mounts an app's root: `layers` (absolute paths, bottom first) below what the app changes, which
 * is kept in `changes`. The process must be in a mount namespace of its own.
 *
 * @param ids a user namespace (src/os/idmap.ts) as whose users those of the layers appear
 */
export function mountOverlay(
  layers: readonly string[],
  changes: string,
  target: string,
  ids?: number,
): void {
  const upper = join(changes, 'upper');
  const work = join(changes, 'work');
  const top = layers.at(-1);
  if (top === undefined) throw new PodError('no-overlay', `no layers to mount at ${target}`);
  if (mkdirSync(upper, { recursive: true, mode: 0o755 })) copyOwner(top, upper);
  mkdirSync(work, { recursive: true, mode: 0o700 });
  const store = commonFolder(layers);
  withMappedFolders([store, changes], ids, () => mountLayers(layers, store, changes, target));
}

function mountLayers(
  layers: readonly string[],
  store: string,
  changes: string,
  target: string,
): void {
  const [upper, work] = [join(changes, 'upper'), join(changes, 'work')];
  // mount(2) takes one page of options, which the full paths of many layers would exceed.
  const cwd = process.cwd();
  process.chdir(store);
  try {
    const lower = [...layers].reverse().map((layer) => escapeOption(layer.slice(store.length + 1)));
    mount(
      'overlay',
      target,
      'overlay',
      MS.NODEV,
      `lowerdir=${lower.join(':')},upperdir=${escapeOption(upper)},workdir=${escapeOption(work)}`,
    );
  } finally {
    process.chdir(cwd);
  }
}

/**
 * An overlay cannot be mapped itself, but takes over what its layers are when it is mounted:
 * Documentation/filesystems/overlayfs.rst of Linux 5.19.
 */
function withMappedFolders(
  folders: readonly string[],
  ids: number | undefined,
  action: () => void,
): void {
  if (ids === undefined) {
    action();
    return;
  }
  const mapped: string[] = [];
  try {
    for (const folder of folders) {
      mapMount(folder, folder, ids, 'alone');
      mapped.push(folder);
    }
    action();
  } catch (error) {
    throw unmappable(folders.join(' and '), error);
  } finally {
    for (const folder of mapped.reverse()) unmount(folder);
  }
}

/** Mounts a copied root on itself: it is part of the host's file system, whose device nodes work. */
export function mountCopy(root: string, ids?: number): void {
  try {
    if (ids === undefined) mount(root, root, '', MS.BIND);
    else mapMount(root, root, ids, 'alone');
  } catch (error) {
    throw ids === undefined ? error : unmappable(root, error);
  }
  forbidDevices(root);
}

function unmappable(what: string, cause: unknown): PodError {
  return new PodError(
    'unsupported',
    `cannot give ${what} the ids of a user namespace, which takes Linux 5.19 and a file system with ID-mapped mounts: leave --private-users out`,
    cause,
  );
}

function copyOwner(from: string, to: string): void {
  const { uid, gid, mode } = statSync(from);
  chownSync(to, uid, gid);
  chmodSync(to, mode & 0o7777);
}

/** The folder that holds `ID/rootfs` of every layer. */
function commonFolder(layers: readonly string[]): string {
  return join(layers[0] ?? '/', '../..');
}

/** Options are split at commas and layers at colons (mount(2), overlayfs). */
function escapeOption(path: string): string {
  return path.replace(/[\\,:]/g, '\\$&');
}
