import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { HttpResponse } from '../http/client.ts';
import { ensureFolder, readIfExists, writeFileAtomic } from '../os/files.ts';
import type { Store, StoredImage } from './store.ts';

/** What is known of an image at a URL: a file in cas/remote, named by the URL's hash. */
export interface RemoteRecord {
  readonly url: string;
  /** The image that was there. */
  readonly key: string;
  readonly etag?: string;
  /** When the server was last asked, milliseconds since the epoch. */
  readonly askedAt: number;
  /** For how many seconds after that the server need not be asked again. */
  readonly maxAge: number;
  /** Its signature was checked. */
  readonly verified: boolean;
}

/** The record of a URL, with its image; undefined when there is none or the image was removed. */
export function readRemote(
  store: Store,
  url: string,
): { record: RemoteRecord; image: StoredImage } | undefined {
  const text = readIfExists(recordPath(store, url));
  if (text === undefined) return undefined;
  const record: RemoteRecord = JSON.parse(text);
  const image = store.get(record.key);
  return image && { record, image };
}

/** Keeps what is known of a URL, for the next fetch of it. */
export function writeRemote(store: Store, record: RemoteRecord): void {
  ensureFolder(folderOf(store), 0o700);
  writeFileAtomic(recordPath(store, record.url), JSON.stringify(record), 0o600);
}

/** Drops what is known of the URLs of an image. */
export function forgetRemotes(store: Store, key: string): void {
  if (!existsSync(folderOf(store))) return;
  for (const name of readdirSync(folderOf(store))) {
    if (name.endsWith('.tmp')) continue;
    const path = join(folderOf(store), name);
    if (JSON.parse(readIfExists(path) ?? '{}').key === key) rmSync(path, { force: true });
  }
}

/** Whether the server said that it need not be asked again yet. */
export function isFresh({ askedAt, maxAge }: RemoteRecord, now = Date.now()): boolean {
  return now >= askedAt && now < askedAt + maxAge * 1000;
}

/** What an answer says of how to ask again: ETag, and Cache-Control (RFC 9111 section 5.2.2). */
export function cacheHeaders({
  header,
}: Pick<HttpResponse, 'header'>): Pick<RemoteRecord, 'etag' | 'maxAge'> {
  const etag = header('etag');
  const directives = (header('cache-control') ?? '').toLowerCase().split(/\s*,\s*/);
  const never = directives.some((directive) => /^no-(store|cache)(=|$)/.test(directive));
  const age = directives.map((directive) => /^max-age="?(\d+)"?$/.exec(directive)?.[1]);
  return {
    ...(etag !== undefined && { etag }),
    maxAge: never ? 0 : Number(age.find((seconds) => seconds !== undefined) ?? 0),
  };
}

function folderOf(store: Store): string {
  return join(store.cas, 'remote');
}

function recordPath(store: Store, url: string): string {
  return join(folderOf(store), createHash('sha256').update(url).digest('hex'));
}
