import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { errnoOf } from '../../src/os/error.ts';
import { inFolderOfRoot } from '../../src/os/inroot.ts';

/** The folders and links that every app finds (surface 9.3); what the image has is left as it is. */
export function prepareAppRoot(root: string): void {
  inFolderOfRoot(root, '/', (folder) => {
    for (const name of ['dev', 'proc', 'sys', 'run', 'etc']) makeFolder(`${folder}/${name}`, 0o755);
    makeFolder(`${folder}/tmp`, 0o1777);
  });
  inFolderOfRoot(root, '/etc', (folder) => {
    ignoring('EEXIST', () => symlinkSync('../proc/self/mounts', `${folder}/mtab`));
  });
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
