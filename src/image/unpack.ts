import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writev } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { DiskSpace } from '../os/disk-space.ts';
import { errnoOf } from '../os/error.ts';
import { passedBytes } from '../os/garbage.ts';
import type { SyscallError } from '../os/syscalls.ts';
import { lostEntries } from './acl-records.ts';
import { collectLines, compressionOf, decompress, exitOf } from './decompress.ts';
import { ImageError } from './error.ts';
import { storeError } from './store.ts';
import { quoteName } from './tar-headers.ts';
import { type TarEntry, TarWalker, type Verdict } from './tar-walker.ts';
import type { Workspace } from './temp.ts';
import { spawnTar } from './unpack-sandbox.ts';

/** What is done with the members of an archive on their way to the disk. */
export interface Content {
  /** Judges a member; throws ImageError `bad-image` to refuse the archive. */
  judge(entry: TarEntry): Verdict;
  /** The archive has ended: last checks, and tar members to add. */
  finish(): Buffer[];
}

export interface UnpackOptions {
  /** Of the uncompressed tar. */
  readonly hash: 'sha512' | 'sha256';
  /** Take the SHA-256 of the bytes as they come, too. */
  readonly hashBlob: boolean;
  /** Keep the bytes as they come in `blob` of the workspace. */
  readonly keep: boolean;
  /** Folder of the workspace that is the archive's root; made here. */
  readonly into: string;
  /** Says what an uncompressed stream is that starts with these bytes and is no image. */
  refuse(start: Buffer): string | undefined;
}

export interface Unpacked {
  /** Hex digest of the uncompressed tar. */
  readonly tarDigest: string;
  /** Hex SHA-256 of the bytes as they came, if wanted, and their length. */
  readonly blobDigest: string | undefined;
  readonly blobSize: number;
  /** Bytes of content unpacked. */
  readonly treeSize: number;
  /** What of it could not be kept, a line each. */
  readonly warnings: readonly string[];
}

const END_MARK = Buffer.alloc(1024);

/**
 * Brings an archive to the disk in one pass over its bytes: kept as they come, decompressed, hashed,
 * every header checked, and unpacked by a confined tar at the same time.
 *
 * @throws ImageError whose message is the bare reason; the caller says of what and removes the rest
 */
export async function unpack(
  source: Readable,
  work: Workspace,
  content: Content,
  options: UnpackOptions,
): Promise<Unpacked> {
  const into = join(work.path, options.into);
  mkdirSync(into, { recursive: true, mode: 0o755 });
  const blob = options.keep ? openSync(join(work.path, 'blob'), 'wx', 0o600) : undefined;
  const tar = startTar(work, into);
  let treeSize = 0;
  const space = new DiskSpace(work.path);
  const walker = new TarWalker((entry) => {
    const verdict = content.judge(entry);
    if (verdict === 'pass') {
      const full = space.refuse(
        entry.size,
        () => `the entry ${quoteName(entry.name)} of ${entry.size} bytes`,
      );
      if (full !== undefined) throw new ImageError('io', full);
      treeSize += entry.size;
    }
    return verdict;
  });
  const received = new Received(source, blob, options.hashBlob);
  try {
    const start = await received.start(512);
    const compression = compressionOf(start);
    const hash = createHash(options.hash);
    let first = true;
    for await (const chunk of decompress(received.bytes(), compression)) {
      if (first) refuseAlien(chunk, options);
      first = false;
      hash.update(chunk);
      await tar.write(walker.push(chunk));
      passedBytes(chunk.length);
    }
    if (first) refuseAlien(Buffer.alloc(0), options);
    await tar.write(walker.end());
    await tar.write([...content.finish(), END_MARK]);
    await tar.done();
    return {
      tarDigest: hash.digest('hex'),
      blobDigest: received.digest(),
      blobSize: received.size,
      treeSize,
      warnings: lostEntries(walker.lostAclNames),
    };
  } finally {
    source.destroy();
    await tar.stop();
    await received.settled();
    if (blob !== undefined) closeSync(blob);
  }
}

function refuseAlien(start: Buffer, options: UnpackOptions): void {
  const why = options.refuse(start);
  if (why !== undefined) throw new ImageError('bad-image', why);
}

/** The bytes as they come, which are written to the blob, if any (and hashed) as they go by. */
class Received {
  size = 0;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #blob: number | undefined;
  readonly #writes = new WriteQueue();
  readonly #hash;
  #start: Buffer = Buffer.alloc(0);

  constructor(source: Readable, blob: number | undefined, hash: boolean) {
    this.#chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#blob = blob;
    this.#hash = hash ? createHash('sha256') : undefined;
  }

  /** Reads until `length` bytes are there or the end; `bytes` gives them again. */
  async start(length: number): Promise<Buffer> {
    while (this.#start.length < length) {
      const { value, done } = await this.#chunks.next();
      if (done) break;
      this.#start = Buffer.concat([this.#start, value]);
    }
    if (this.#start.length === 0) throw new ImageError('bad-image', 'it is empty');
    return this.#start;
  }

  async *bytes(): AsyncGenerator<Buffer> {
    for (let chunk: Buffer | undefined = this.#start; chunk; chunk = await this.#next()) {
      this.size += chunk.length;
      await this.#keep(chunk);
      this.#hash?.update(chunk);
      yield chunk;
    }
    await this.#writes.drained().catch(keepError);
  }

  async #keep(chunk: Buffer): Promise<void> {
    const blob = this.#blob;
    if (blob === undefined) return;
    await this.#writes.add(() => writeParts(blob, [chunk])).catch(keepError);
  }

  /** Waits until nothing writes to the blob any more. */
  async settled(): Promise<void> {
    await this.#writes.drained().catch(() => {});
  }

  digest(): string | undefined {
    return this.#hash?.digest('hex');
  }

  async #next(): Promise<Buffer | undefined> {
    const { value, done } = await this.#chunks.next();
    return done ? undefined : value;
  }
}

function keepError(error: unknown): never {
  throw storeError('keeping its bytes', error);
}

interface Tar {
  /** Takes bytes to unpack; returns when there is room for more. */
  write(parts: readonly Buffer[]): Promise<void>;
  /** Waits for its success. */
  done(): Promise<void>;
  /** Ends it in any case, and waits for that. */
  stop(): Promise<void>;
}

function startTar(work: Workspace, into: string): Tar {
  const { child, input, failure } = spawnTar(work, into);
  const said = collectLines(child);
  const ended = exitOf(child);
  ended.catch(() => {});
  const writes = new WriteQueue();
  let open = true;
  const close = (): void => {
    if (open) closeSync(input);
    open = false;
  };
  const fail = async (cause: unknown): Promise<never> => {
    if (errnoOf(cause) !== 'EPIPE') throw cause;
    throw tarError(await ended, said(), failure());
  };
  return {
    async write(parts) {
      if (parts.length > 0) await writes.add(() => writeParts(input, parts)).catch(fail);
    },
    async done() {
      await writes.drained().catch(fail);
      close();
      const status = await ended;
      if (status !== 0) throw tarError(status, said(), failure());
    },
    async stop() {
      child.kill('SIGKILL');
      await ended.catch(() => {});
      await writes.drained().catch(() => {});
      close();
    },
  };
}

/** Writes that happen one after the other while their caller goes on. */
class WriteQueue {
  readonly #limit = 3;
  readonly #pending: Promise<void>[] = [];
  #last: Promise<void> = Promise.resolve();

  /** Queues a write, once few enough are waiting. Throws what an earlier write threw. */
  async add(write: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(write);
    this.#last.catch(() => {});
    this.#pending.push(this.#last);
    if (this.#pending.length > this.#limit) await this.#pending.shift();
  }

  /** Waits for all. Throws what any of them threw. */
  async drained(): Promise<void> {
    await this.#last;
  }
}

/** Writes all of the parts to a descriptor that may block, on a thread of Node's pool. */
async function writeParts(fd: number, parts: readonly Buffer[]): Promise<void> {
  let rest = parts;
  while (rest.length > 0) {
    // A call takes 1,024 parts (IOV_MAX).
    const batch = rest.slice(0, 1024);
    let { bytesWritten } = await writeVector(fd, batch);
    const unwritten: Buffer[] = [];
    for (const part of batch) {
      if (bytesWritten < part.length) unwritten.push(part.subarray(bytesWritten));
      bytesWritten = Math.max(0, bytesWritten - part.length);
    }
    rest = [...unwritten, ...rest.slice(1024)];
  }
}

const writeVector = promisify(writev);

const FAILED_WRITE =
  /No space left on device|Disk quota exceeded|Read-only file system|Input\/output error|Wrote only/;

function tarError(
  status: number | undefined,
  said: readonly string[],
  failure: SyscallError | undefined,
): ImageError {
  if (failure?.message.startsWith('execve'))
    return new ImageError(
      'missing-program',
      `unpacking needs GNU tar, as /usr/bin/tar or /bin/tar: ${failure.message}`,
      failure,
    );
  if (failure)
    return new ImageError(
      'io',
      `unpacking it: the sandbox for tar could not be made: ${failure.message}`,
      failure,
    );
  const lines = said.map((line) => line.replace(/^tar: /, ''));
  const why = lines[0] ?? `status ${status}`;
  const write = lines.find((line) => FAILED_WRITE.test(line));
  if (write === undefined) return new ImageError('bad-image', `tar could not unpack it: ${why}`);
  // A write that is cut short is how tar first meets the end of the disk.
  const short = write.includes('Wrote only') ? 'no space left on the disk: ' : '';
  return new ImageError('io', `unpacking it: ${short}${write}`);
}
