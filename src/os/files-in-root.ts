import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fchmodSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { posix } from 'node:path';
import { errnoOf } from './error.ts';
import { inFolderOfRoot } from './inroot.ts';

// Files of a root that somebody else may be writing to at the same time: their folders are held while
// they are changed, and nothing follows what has their name.

/**
 * Writes a whole file, which readers see at once; what was there is replaced, a symlink too. Processes
 * that write one at the same time do not disturb each other. Its mode is this one whatever the umask.
 */
export function writeInRoot(root: string, path: string, text: string, mode = 0o644): void {
  inFolderOf(root, path, (folder, name) => {
    const temporary = `${folder}/.${name}_${process.pid}_new`;
    rmSync(temporary, { force: true });
    try {
      writeNew(temporary, text, mode);
      renameSync(temporary, `${folder}/${name}`);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
}

function writeNew(path: string, text: string, mode: number): void {
  const fd = openSync(path, 'wx', mode);
  try {
    fchmodSync(fd, mode);
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** Makes a folder in one that is there, unless there is one already; its mode is this one whatever the umask. */
export function makeFolderInRoot(root: string, path: string, mode = 0o755): void {
  inFolderOf(root, path, (folder, name) => {
    const made = `${folder}/${name}`;
    try {
      mkdirSync(made, { mode });
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return;
      throw error;
    }
    const fd = openSync(made, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      fchmodSync(fd, mode);
    } finally {
      closeSync(fd);
    }
  });
}

/** Moves a folder of the same file system into the root, where nothing, or an empty folder, has that path. */
export function moveIntoRoot(source: string, root: string, path: string): void {
  inFolderOf(root, path, (folder, name) => renameSync(source, `${folder}/${name}`));
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
