import { createHash } from 'node:crypto';
import { type BigIntStats, fstatSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { readIfExists, writeFileAtomic } from '../os/files.ts';
import type { Store, StoredImage } from './store.ts';

interface FileRecord {
  readonly key: string;
  readonly state: string;
}

/**
 * How long a file must have been at rest before its timestamps can tell versions apart: the kernel
 * stamps writes with the time of the last clock tick, at most 10 ms ago.
 */
const SETTLED = 20;

/**
 * The image that this file, in its present state, was imported as; undefined when the file has
 * changed, is new or its image was removed. `part` tells apart the images of an archive.
 */
export function cachedFile(store: Store, path: string, part = ''): StoredImage | undefined {
  try {
    const record = readRecord(recordPath(store, path, part));
    const state = stateOf(statSync(path, { bigint: true }));
    return record?.state === state ? store.get(record.key) : undefined;
  } catch {
    return undefined;
  }
}

/** A file as it was at one moment. */
export interface FileSnapshot {
  readonly state: string;
  /** A change after that moment shows in the file's timestamps. */
  readonly settled: boolean;
}

/** Takes note of an open file (or of a path) before its first byte is read, for `rememberFile`. */
export function snapshotFile(file: number | string): FileSnapshot {
  const stats =
    typeof file === 'number' ? fstatSync(file, { bigint: true }) : statSync(file, { bigint: true });
  return { state: stateOf(stats), settled: Date.now() - Number(stats.ctimeMs) >= SETTLED };
}

/**
 * Remembers which image a file holds, unless the file may have changed since it was first seen. What
 * can't be remembered costs time only, so it is no error.
 */
export function rememberFile(
  store: Store,
  path: string,
  before: FileSnapshot,
  key: string,
  part = '',
): void {
  try {
    if (!before.settled || stateOf(statSync(path, { bigint: true })) !== before.state) return;
    const record: FileRecord = { key, state: before.state };
    writeFileAtomic(recordPath(store, path, part), JSON.stringify(record), 0o600);
  } catch {}
}

/** Drops what is remembered about the files of an image, and half-written records. */
export function forgetFiles(store: Store, key: string): void {
  for (const name of readdirSync(store.path('file'))) {
    const path = store.path('file', name);
    if (name.endsWith('.tmp') || readRecord(path)?.key === key) rmSync(path, { force: true });
  }
}

function readRecord(path: string): FileRecord | undefined {
  const text = readIfExists(path);
  return text === undefined ? undefined : JSON.parse(text);
}

function recordPath(store: Store, path: string, part: string): string {
  const name = createHash('sha256')
    .update(`${realpathSync(path)}\0${part}`)
    .digest('hex');
  return store.path('file', name);
}

function stateOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}
