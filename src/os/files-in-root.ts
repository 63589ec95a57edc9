import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { errnoOf } from './error.ts';
import { inFolderOfRoot } from './inroot.ts';

// Files of a root that somebody else may be writing to at the same time: their folders are held while
// they are changed, and nothing follows what has their name.

/** Writes a whole file, which readers see at once; what was there is replaced, a symlink too. */
export function writeInRoot(root: string, path: string, text: string, mode = 0o666): void {
  inFolderOf(root, path, (folder, name) => {
    const temporary = `${folder}/.${name}_new`;
    rmSync(temporary, { force: true });
    writeFileSync(temporary, text, { flag: 'wx', mode });
    renameSync(temporary, `${folder}/${name}`);
  });
}

/** Makes a folder in one that is there, unless there is one already. */
export function makeFolderInRoot(root: string, path: string, mode = 0o777): void {
  inFolderOf(root, path, (folder, name) => {
    try {
      mkdirSync(`${folder}/${name}`, { mode });
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  });
}

/** Removes a file, or a symlink, if it is there. */
export function removeInRoot(root: string, path: string): void {
  inFolderOfRoot(root, posix.dirname(path), (folder) => {
    rmSync(`${folder}/${posix.basename(path)}`, { force: true });
  });
}

/**
 * Removes whatever has this path, if anything has. A mount that is there after all is not gone into.
 *
 * @throws Error with what rm(1) says
 */
export function removeTreeInRoot(root: string, path: string): void {
  inFolderOfRoot(root, posix.dirname(path), (folder) => {
    const argv = ['-rf', '--one-file-system', '--', `./${posix.basename(path)}`];
    const { status, stderr, error } = spawnSync('rm', argv, {
      cwd: folder.replace('self', String(process.pid)),
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    if (status !== 0)
      throw new Error(`cannot remove ${path} in ${root}: ${error?.message ?? stderr.trim()}`);
  });
}

function inFolderOf(
  root: string,
  path: string,
  action: (folder: string, name: string) => void,
): void {
  let found = false;
  inFolderOfRoot(root, posix.dirname(path), (folder) => {
    found = true;
    action(folder, posix.basename(path));
  });
  if (!found) throw new Error(`${posix.dirname(path)} in ${root} is not a folder`);
}
