import { closeSync, fsyncSync, linkSync, lstatSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { syncFolder } from '../os/files.ts';
import { ImageError } from './error.ts';
import { reason } from './store.ts';

/** Throws ImageError `exists` when a file is there that may not be, or cannot be, replaced. */
export function checkAbsent(output: string, overwrite: boolean): void {
  const there = lstatSync(output, { throwIfNoEntry: false });
  if (there && !overwrite) throw exists(output);
  if (there && !there.isFile())
    throw new ImageError('exists', `cannot overwrite ${output}: it is no regular file`);
}

/**
 * Makes a file that appears whole, and on the disk, or not at all.
 *
 * @param write fills an open file
 * @throws ImageError `exists`, `io`, and what `write` throws of its kind
 */
export async function writeOutput<T>(
  output: string,
  overwrite: boolean,
  write: (fd: number) => Promise<T>,
): Promise<T> {
  const temporary = join(dirname(output), `.${basename(output)}.${process.pid}.tmp`);
  try {
    const fd = openSync(temporary, 'wx', 0o644);
    try {
      const result = await write(fd);
      fsyncSync(fd);
      if (overwrite) renameSync(temporary, output);
      else linkSync(temporary, output);
      return result;
    } finally {
      closeSync(fd);
      rmSync(temporary, { force: true });
      syncFolder(dirname(output));
    }
  } catch (error) {
    if (error instanceof ImageError) throw error;
    if (errnoOf(error) === 'EEXIST') throw exists(output);
    throw new ImageError('io', `cannot write ${output}: ${reason(error)}`, error);
  }
}

/** The error for an output that is there already. */
export function exists(output: string): ImageError {
  return new ImageError('exists', `cannot write ${output}: it exists; use --overwrite`);
}
