import { lstatSync, mkdirSync, readlinkSync, rmSync, type Stats, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { inFolderOfRoot, onPathOfRoot } from './inroot.ts';
import { MS, makeReadOnly, mount } from './syscalls.ts';

/**
 * Mounts something at a path of a root file system that is not ours. Symlinks on the way lead where
 * they lead inside that root; what is missing is made: a folder for a folder, else an empty file.
 */
export function bindInRoot(
  source: string,
  stats: Stats,
  root: string,
  target: string,
  flags: number,
): void {
  makeTarget(root, target, stats.isDirectory());
  onPathOfRoot(root, target, (path) => mount(source, path, '', MS.BIND | flags));
}

/** Makes an existing mount of such a root read-only. */
export function remountReadOnly(root: string, target: string): void {
  onPathOfRoot(root, target, makeReadOnly);
}

/** As many symlinks as the kernel follows on one path: path_resolution(7). */
const MAX_LINKS = 40;

/**
 * Makes what is missing of a path in a root that is not ours, and gives the path without symlinks.
 * Links lead where they lead inside the root, also when nothing is there yet. A file at the end gives
 * way where a folder is wanted (spec: ace.md, "Volume Setup").
 */
export function makeTarget(root: string, target: string, isFolder: boolean): string {
  const left = names(target);
  let place = '/';
  let links = 0;
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const isLast = left.length === 0;
    const link = step(root, place, name, { isFolder: isFolder || !isLast, isLast });
    if (link === undefined) {
      place = posix.join(place, name);
      continue;
    }
    if (++links > MAX_LINKS) throw new Error(`too many symlinks on the way to ${target}`);
    if (link.startsWith('/')) place = '/';
    left.unshift(...names(link));
  }
  return place;
}

function names(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/** Makes one name in a folder unless it is there; gives what it says when it is a symlink. */
function step(
  root: string,
  parent: string,
  name: string,
  { isFolder, isLast }: { readonly isFolder: boolean; readonly isLast: boolean },
): string | undefined {
  if (name === '..') return undefined;
  let link: string | undefined;
  let isThere = false;
  inFolderOfRoot(root, parent, (folder) => {
    isThere = true;
    const path = `${folder}/${name}`;
    let stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats && isLast && isFolder && !stats.isSymbolicLink() && !stats.isDirectory()) {
      rmSync(path);
      stats = undefined;
    }
    if (stats?.isSymbolicLink()) link = readlinkSync(path);
    else if (!stats && isFolder) mkdirSync(path, { mode: 0o755 });
    else if (!stats) writeFileSync(path, '', { flag: 'wx' });
    else if (isLast && !isFolder && stats.isDirectory())
      throw new Error(`${name} is a folder there, and what is to be mounted is not`);
  });
  if (!isThere) throw new Error(`${parent} is no folder there`);
  return link;
}
