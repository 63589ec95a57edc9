import { createHash } from 'node:crypto';
import { closeSync, constants, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { errnoOf } from '../os/error.ts';
import { ImageError } from './error.ts';
import type { Descriptor } from './oci-schema.ts';
import { reason } from './store.ts';

/** Bytes at rest: a part of a file, or all of it. */
export interface ByteRange {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

/** Manifests, indexes and configs are smaller than this (distribution-spec: 4 MiB). */
const documentLimit = 4 * 1024 * 1024;

/** All of a regular file, or undefined when there is none. Throws ImageError `io`, `bad-image`. */
export function wholeFile(path: string): ByteRange | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const entry = fstatSync(fd);
      if (!entry.isFile()) throw new ImageError('bad-image', `${path} is not a regular file`);
      return { path, offset: 0, size: entry.size };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    if (error instanceof ImageError) throw error;
    throw new ImageError('io', `cannot read ${path}: ${reason(error)}`, error);
  }
}

/**
 * Reads a document of at most 4 MiB.
 *
 * @param what names it in messages
 * @throws ImageError `bad-image` when it is larger or the file ends before it, `io`
 */
export function readDocument(range: ByteRange, what: string): Buffer {
  if (range.size > documentLimit)
    throw new ImageError(
      'bad-image',
      `${what} has ${range.size} bytes, more than the ${documentLimit} that are allowed`,
    );
  const bytes = Buffer.alloc(range.size);
  let at = 0;
  try {
    const fd = openSync(range.path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      while (at < bytes.length) {
        const count = readSync(fd, bytes, at, bytes.length - at, range.offset + at);
        if (count === 0) break;
        at += count;
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new ImageError('io', `cannot read ${what}: ${reason(error)}`, error);
  }
  if (at < bytes.length) throw new ImageError('bad-image', `${what} is truncated`);
  return bytes;
}

/**
 * Reads a document that a descriptor names, and checks size and digest before anyone sees it.
 *
 * @throws ImageError `mismatch`, and as readDocument
 */
export function readVerified(
  range: ByteRange,
  expected: Pick<Descriptor, 'digest' | 'size'>,
  what: string,
): Buffer {
  checkSize(range, expected, what);
  const bytes = readDocument(range, what);
  const digest = sha256(bytes);
  if (digest !== expected.digest)
    throw new ImageError('mismatch', `${what} has digest ${digest}, not ${expected.digest}`);
  return bytes;
}

/** Throws ImageError `mismatch` when the range is not as long as its descriptor says. */
export function checkSize(
  { size }: ByteRange,
  expected: Pick<Descriptor, 'digest' | 'size'>,
  what: string,
): void {
  if (size !== expected.size)
    throw new ImageError(
      'mismatch',
      `${what} has ${size} bytes, but ${expected.size} are promised for ${expected.digest}`,
    );
}

/** `sha256:HEX` of some bytes. */
export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The bytes as a stream, straight from the file. */
export function streamRange({ path, offset, size }: ByteRange): Readable {
  if (size === 0) return Readable.from([]);
  return createReadStream(path, {
    start: offset,
    end: offset + size - 1,
    highWaterMark: 1 << 20,
  });
}
