import { closeSync, constants, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { ensureFolder } from './files.ts';
import { flock } from './syscalls.ts';

/** A held lock: an open descriptor. Closing it, or the end of the process, gives it up. */
export interface Lock {
  readonly fd: number;
  release(): void;
}

function held(fd: number): Lock {
  let open = true;
  return {
    fd,
    release() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

/** Takes a lock on an existing folder, or returns undefined when another process holds it. */
export function tryLockFolder(path: string, kind: 'shared' | 'exclusive'): Lock | undefined {
  return tryLock(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY), kind);
}

/** Waits for a lock on a file, which is created when missing and never removed. */
export function lockFile(path: string, kind: 'shared' | 'exclusive'): Lock {
  return waitForLock(openLock(path), kind);
}

/** The same for a file that must be there. */
export function lockExistingFile(path: string, kind: 'shared' | 'exclusive'): Lock {
  return waitForLock(openSync(path, constants.O_RDWR), kind);
}

function waitForLock(fd: number, kind: 'shared' | 'exclusive'): Lock {
  try {
    flock(fd, kind, true);
    return held(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The same without waiting; undefined when another has it. */
export function tryLockFile(path: string, kind: 'shared' | 'exclusive'): Lock | undefined {
  return tryLock(openLock(path), kind);
}

/** The lock, or the descriptor is closed. */
function tryLock(fd: number, kind: 'shared' | 'exclusive'): Lock | undefined {
  try {
    if (flock(fd, kind, false)) return held(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

function openLock(path: string): number {
  ensureFolder(dirname(path));
  return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o640);
}
