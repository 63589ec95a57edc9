import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { errnoOf } from '../../src/os/error.ts';
import { inFolderOfRoot, statInRoot } from '../../src/os/inroot.ts';
import { makeTarget } from '../../src/os/mount-in-root.ts';

/** The folders and links that every app finds (surface 9.3); what the image has is left as it is. */
export function prepareAppRoot(root: string): void {
  inFolderOfRoot(root, '/', (folder) => {
    for (const name of ['dev', 'proc', 'sys', 'run', 'etc']) makeFolder(`${folder}/${name}`, 0o755);
    makeFolder(`${folder}/tmp`, 0o1777);
    if (lstatSync(`${folder}/run`).isSymbolicLink()) straighten(root, folder, 'run');
  });
  if (!statInRoot(root, '/tmp')) {
    makeTarget(root, '/tmp', true);
    inFolderOfRoot(root, '/tmp', (folder) => chmodSync(folder, 0o1777));
  }
  inFolderOfRoot(root, '/etc', (folder) => {
    ignoring('EEXIST', () => symlinkSync('../proc/self/mounts', `${folder}/mtab`));
  });
}

/**
 * Lets a symlink name where it leads inside the root. systemd has a mount of its own in /run, on the
 * way to which it takes `..` out of the root.
 */
function straighten(root: string, folder: string, name: string): void {
  const place = makeTarget(root, `/${name}`, true);
  rmSync(`${folder}/${name}`);
  symlinkSync(place, `${folder}/${name}`);
}

function makeFolder(path: string, mode: number): void {
  ignoring('EEXIST', () => {
    mkdirSync(path);
    chmodSync(path, mode);
  });
}

function ignoring(errno: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (errnoOf(error) !== errno) throw error;
  }
}
