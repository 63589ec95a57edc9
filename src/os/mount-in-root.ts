import { mkdirSync, type Stats, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { inFolderOfRoot, onPathOfRoot, statInRoot } from './inroot.ts';
import { MS, mount } from './syscalls.ts';

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
  onPathOfRoot(root, target, (path) => mount('', path, '', MS.BIND | MS.REMOUNT | MS.RDONLY));
}

export function makeTarget(root: string, target: string, isFolder: boolean): void {
  const parts = posix.normalize(target).split('/').filter(Boolean);
  parts.forEach((name, depth) => {
    const parent = `/${parts.slice(0, depth).join('/')}`;
    if (statInRoot(root, posix.join(parent, name))) return;
    const isLast = depth === parts.length - 1;
    inFolderOfRoot(root, parent, (folder) => {
      if (isLast && !isFolder) writeFileSync(`${folder}/${name}`, '', { flag: 'wx' });
      else mkdirSync(`${folder}/${name}`, { mode: 0o755 });
    });
  });
}
