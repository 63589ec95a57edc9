import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DiskSpace } from '../os/disk-space.ts';
import { readIfExists } from '../os/files.ts';
import { passedBytes } from '../os/garbage.ts';
import { type HttpClient, type HttpRequest, type HttpResponse, statusError } from './client.ts';
import { HttpError, shownUrl } from './error.ts';
import type { DownloadSlot } from './slot.ts';

/** How often a download is continued after a cut that let at least one byte through. */
const maxCuts = 5;

/** `received` and `total` in bytes, of the whole file; `total` is undefined while nobody knows it. */
export type Progress = (received: number, total: number | undefined) => void;

/** Shows downloads as they go on. */
export interface ProgressDisplay {
  start(label: string): { readonly update: Progress; end(): void };
}

export interface DownloadRequest
  extends Pick<HttpRequest, 'headers' | 'authorization' | 'plainHttp' | 'signal'> {
  readonly url: string;
  /** The ETag of what the caller has already: the server need not send that again. */
  readonly etag?: string;
  /** What it must be, when that is known: bytes, and `sha256:HEX` or `sha512:HEX`. */
  readonly size?: number;
  readonly digest?: string;
  /** The most bytes that are taken. */
  readonly limit?: number;
  readonly progress?: Progress;
}

export interface Download {
  /** False: the caller's ETag is still that of the server (304), and there is no file. */
  readonly modified: boolean;
  /** Bytes. */
  readonly size: number;
  /** A header of the answer by its lower-case name. */
  header(name: string): string | undefined;
}

/** What is known of a partial file. */
interface PartialRecord {
  readonly etag?: string;
  readonly lastModified?: string;
  readonly total?: number;
  /** A file is not continued after a restart of the machine, which may have lost parts of it. */
  readonly boot: string;
}

interface Partial extends PartialRecord {
  /** The byte to go on from. */
  readonly at: number;
}

/**
 * Downloads to the file of a slot, from where an earlier attempt ended if the server still has the
 * same (ETag or Last-Modified, RFC 9110 section 13.1.5; a digest makes both unnecessary). Goes on
 * after a cut. Size and digest are checked as the bytes come.
 *
 * @throws HttpError as `request`; `status`, `interrupted`, `too-large`, `mismatch`, `io`
 */
export async function download(
  client: HttpClient,
  slot: DownloadSlot,
  request: DownloadRequest,
): Promise<Download> {
  for (let cuts = 0; ; ) {
    const partial = findPartial(slot, request);
    try {
      const done = await attempt(client, slot, request, partial);
      if (done) return done;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const grown = sizeOf(slot.file) > (partial?.at ?? 0);
      const isCut = error.code === 'interrupted' && grown && cuts++ < maxCuts;
      const isBadStart = error.code === 'mismatch' && partial !== undefined;
      if (error.code === 'mismatch') forget(slot);
      if (request.signal?.aborted || !(isCut || isBadStart)) throw error;
    }
  }
}

/** One request; undefined when it must be made again from the first byte. */
async function attempt(
  client: HttpClient,
  slot: DownloadSlot,
  request: DownloadRequest,
  partial: Partial | undefined,
): Promise<Download | undefined> {
  const response = await client.request(request.url, {
    ...request,
    headers: {
      ...request.headers,
      ...(request.etag !== undefined && { 'if-none-match': request.etag }),
      ...(partial && rangeHeaders(partial)),
    },
  });
  const { status, header } = response;
  if (status === 304 && request.etag !== undefined) {
    response.discard();
    return { modified: false, size: 0, header };
  }
  if (partial && (status === 416 || (status === 206 && !continues(response, partial)))) {
    response.discard();
    forget(slot);
    return undefined;
  }
  if (status !== 200 && !(status === 206 && partial)) throw statusError(response);
  const at = status === 206 && partial ? partial.at : 0;
  const size = await receive(response, slot, request, at);
  return { modified: true, size, header };
}

async function receive(
  response: HttpResponse,
  slot: DownloadSlot,
  request: DownloadRequest,
  at: number,
): Promise<number> {
  const fail = (code: 'too-large' | 'mismatch' | 'io', why: string, cause?: unknown) =>
    new HttpError(code, `cannot get ${shownUrl(response.url)}: ${why}`, cause);
  const check = (bytes: number) => {
    if (request.size !== undefined && bytes > request.size)
      throw fail('mismatch', `it has more than the ${request.size} bytes it should have`);
    if (request.limit !== undefined && bytes > request.limit)
      throw fail('too-large', `it has more than ${request.limit} bytes`);
  };

  const space = new DiskSpace(dirname(slot.file));
  const room = (bytes: number) => {
    const full = space.refuse(bytes, () => `its next ${bytes} bytes`);
    if (full === undefined) return;
    // What fills the disk is not kept to be continued.
    forget(slot);
    throw fail('io', full);
  };
  const hash = request.digest === undefined ? undefined : new Checked(request.digest);
  const total = totalSize(response, at);
  let received = at;
  let fd: number | undefined;
  try {
    check(total ?? 0);
    room((total ?? at) - at);
    if (at > 0) await hash?.addFile(slot.file, at);
    fd = openSync(slot.file, at > 0 ? 'r+' : 'w', 0o600);
    if (at === 0) writeRecord(slot, response, total);
    request.progress?.(received, total);
    for await (const part of response.body) {
      check(received + part.length);
      room(part.length);
      hash?.add(part);
      for (let done = 0; done < part.length; )
        done += writeSync(fd, part, done, part.length - done, received + done);
      received += part.length;
      passedBytes(part.length);
      request.progress?.(received, total);
    }
  } catch (error) {
    throw error instanceof HttpError ? error : fail('io', 'it cannot be written', error);
  } finally {
    if (fd !== undefined) closeSync(fd);
    response.discard();
  }
  if (request.size !== undefined && received !== request.size)
    throw fail('mismatch', `it has ${received} bytes, not ${request.size}`);
  const found = hash?.digest();
  if (found !== request.digest)
    throw fail('mismatch', `its digest is ${found}, not ${request.digest}`);
  return received;
}

/** A digest in the making, named as OCI does: `sha256:HEX`. */
class Checked {
  readonly #algorithm: string;
  readonly #hash: Hash;

  constructor(wanted: string) {
    this.#algorithm = wanted.slice(0, wanted.indexOf(':'));
    this.#hash = createHash(this.#algorithm);
  }

  add(part: Buffer): void {
    this.#hash.update(part);
  }

  async addFile(path: string, bytes: number): Promise<void> {
    for await (const part of createReadStream(path, { end: bytes - 1 })) this.#hash.update(part);
  }

  digest(): string {
    return `${this.#algorithm}:${this.#hash.digest('hex')}`;
  }
}

/** What an earlier attempt left, if it can be continued safely. */
function findPartial(slot: DownloadSlot, { digest }: DownloadRequest): Partial | undefined {
  const record = readRecord(slot);
  const size = sizeOf(slot.file);
  if (!record || size === 0 || record.boot !== bootId()) return undefined;
  if (digest === undefined && validator(record) === undefined) return undefined;
  // Of a whole file the last byte is asked again: the answer tells whether it is still the same.
  return { ...record, at: Math.min(size, (record.total ?? size + 1) - 1) };
}

function rangeHeaders(partial: Partial): Record<string, string> {
  const known = validator(partial);
  return {
    range: `bytes=${partial.at}-`,
    ...(known !== undefined && { 'if-range': known }),
  };
}

/** A weak ETag says nothing of single bytes. */
function validator({ etag, lastModified }: PartialRecord): string | undefined {
  return etag?.startsWith('"') ? etag : lastModified;
}

function continues({ header }: HttpResponse, partial: Partial): boolean {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header('content-range') ?? '') ?? [];
  const sameTotal = total === '*' || partial.total === undefined || Number(total) === partial.total;
  return Number(start) === partial.at && sameTotal && header('etag') === partial.etag;
}

function totalSize({ header }: HttpResponse, at: number): number | undefined {
  const length = header('content-length');
  return length === undefined ? undefined : at + Number(length);
}

function writeRecord(slot: DownloadSlot, { header }: HttpResponse, total?: number): void {
  const [etag, lastModified] = [header('etag'), header('last-modified')];
  const record: PartialRecord = {
    ...(etag !== undefined && { etag }),
    ...(lastModified !== undefined && { lastModified }),
    ...(total !== undefined && { total }),
    boot: bootId(),
  };
  writeFileSync(slot.record, JSON.stringify(record), { mode: 0o600 });
}

/** Undefined as well when its writer was killed over it. */
function readRecord(slot: DownloadSlot): PartialRecord | undefined {
  try {
    return JSON.parse(readIfExists(slot.record) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}

function forget(slot: DownloadSlot): void {
  rmSync(slot.record, { force: true });
  rmSync(slot.file, { force: true });
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
