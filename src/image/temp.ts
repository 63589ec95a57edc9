import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { type Lock, tryLockFolder } from '../os/lock.ts';
import { ImageError } from './error.ts';

/** A folder of its own below cas/tmp for work in progress, locked for as long as its owner lives. */
export interface Workspace {
  readonly path: string;
  readonly lock: Lock;
  /** Removes the folder with all that is left in it, and gives up the lock. */
  discard(): void;
}

/**
 * Makes a locked folder in `parent` (cas/tmp). Throws the errno of mkdtemp(3) when the store can't be
 * written.
 */
export function makeWorkspace(parent: string): Workspace {
  for (;;) {
    const path = mkdtempSync(join(parent, 'work-'));
    const lock = lockExisting(path);
    // A clean-up may have taken the new folder for a leftover before it was locked.
    if (!lock) continue;
    return {
      path,
      lock,
      discard() {
        removeTree(path);
        lock.release();
      },
    };
  }
}

/**
 * Removes what ended processes left in `parent` (cas/tmp); returns the number of folders removed. An
 * interrupted download (see slot.ts) is of use until `before`, in milliseconds since the epoch.
 */
export function removeLeftovers(parent: string, before: number): number {
  let removed = 0;
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    const lock = lockExisting(path);
    if (!lock) continue;
    if (name.startsWith('download-') && statSync(path).mtimeMs >= before) {
      lock.release();
      continue;
    }
    removeTree(path);
    lock.release();
    removed++;
  }
  return removed;
}

function lockExisting(path: string): Lock | undefined {
  try {
    const lock = tryLockFolder(path, 'exclusive');
    if (!lock) return undefined;
    if (statSync(path, { throwIfNoEntry: false })) return lock;
    lock.release();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return undefined;
}

/**
 * Removes a folder that holds an unpacked image: no depth limit, no other file system, no link
 * followed. Throws ImageError `io`.
 */
export function removeTree(path: string): void {
  const { status, stderr, error }: SpawnSyncReturns<string> = spawnSync(
    'rm',
    ['-rf', '--one-file-system', '--', path],
    { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8', env: { PATH: process.env['PATH'] } },
  );
  if (status === 0) return;
  const reason = error?.message ?? stderr.trim().split('\n')[0];
  throw new ImageError('io', `remove ${path}: ${reason}`, error);
}
