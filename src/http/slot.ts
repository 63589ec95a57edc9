import { createHash } from 'node:crypto';
import { existsSync, fstatSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../os/error.ts';
import { type Lock, tryLockFolder } from '../os/lock.ts';

const lockInterval = 100;

/**
 * The place of one download: a folder named by the hash of its URL, locked by the process that
 * downloads, left behind when that is interrupted so that the next one goes on from there.
 */
export interface DownloadSlot {
  /** The downloaded bytes. */
  readonly file: string;
  /** What is known of them (see download.ts). */
  readonly record: string;
  /** Another process had the slot: what it downloaded may be in its final place by now. */
  readonly waited: boolean;
  /** Removes what is there, which is of no use any more, and gives up the slot. */
  remove(): void;
  /** Gives up the slot, if it is still held; bytes that are there stay, to be continued. */
  release(): void;
}

/**
 * Takes the slot of a URL below `folder` (cas/tmp, which must exist). Waits, without keeping the
 * process from other work, while another download has it.
 *
 * @param waiting is called once when there is a wait
 */
export async function takeSlot(
  folder: string,
  url: string,
  waiting: () => void,
): Promise<DownloadSlot> {
  const path = join(folder, `download-${createHash('sha256').update(url).digest('hex')}`);
  for (let waited = false; ; ) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const lock = tryLockExisting(path);
    if (lock) return heldSlot(path, lock, waited);
    if (!waited) waiting();
    waited = true;
    await delay(lockInterval);
  }
}

function heldSlot(path: string, lock: Lock, waited: boolean): DownloadSlot {
  const file = join(path, 'data');
  let held = true;
  const giveUp = (remove: boolean): void => {
    // Afterwards the folder is somebody else's.
    if (!held) return;
    held = false;
    if (remove) rmSync(path, { recursive: true, force: true });
    lock.release();
  };
  return {
    file,
    record: join(path, 'record'),
    waited,
    remove: () => giveUp(true),
    release: () => giveUp(!existsSync(file)),
  };
}

/** The lock of a folder that is still at its path; whoever had it may have removed the folder. */
function tryLockExisting(path: string): Lock | undefined {
  try {
    const lock = tryLockFolder(path, 'exclusive');
    if (!lock || fstatSync(lock.fd).ino === statSync(path, { throwIfNoEntry: false })?.ino)
      return lock;
    lock.release();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return undefined;
}
