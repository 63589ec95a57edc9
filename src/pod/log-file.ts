import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { errnoOf } from '../os/error.ts';

/** A piece of output: a line, or a part of one that is too long or has no end. */
export interface LogEntry {
  /** RFC 3339 in UTC with nine digits of a second, so that times compare as text. */
  readonly time: string;
  readonly app: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: Buffer;
  /** A newline came after it. */
  readonly endsLine: boolean;
}

const CHUNK = 1 << 20;
const NEWLINE = 10;
const HEAD = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) /;

/**
 * The log of an app, read as it grows: the older file first, then the newer, and what comes into
 * its place. Lines are written whole; what is not one, after a crash or on a full disk, is left out.
 */
export class LogFile {
  readonly #path: string;
  readonly #app: string;
  #fd: number | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #isOld: boolean;

  constructor(path: string, app: string) {
    this.#path = path;
    this.#app = app;
    this.#fd = open(`${path}.1`);
    this.#isOld = this.#fd !== undefined;
  }

  /** What is there and was not read yet, a chunk at a time. */
  *read(): Generator<LogEntry> {
    for (;;) {
      this.#fd ??= open(this.#path);
      if (this.#fd === undefined) return;
      for (let chunk = readChunk(this.#fd); chunk; chunk = readChunk(this.#fd))
        yield* this.#parse(chunk);
      if (!this.#isOld && this.#isCurrent(this.#fd)) return;
      // Between its end and its change of name it may have grown.
      for (let chunk = readChunk(this.#fd); chunk; chunk = readChunk(this.#fd))
        yield* this.#parse(chunk);
      this.close();
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#rest = Buffer.alloc(0);
    this.#isOld = false;
  }

  #isCurrent(fd: number): boolean {
    const current = statSync(this.#path, { throwIfNoEntry: false });
    return current === undefined || current.ino === fstatSync(fd).ino;
  }

  *#parse(chunk: Buffer): Generator<LogEntry> {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, at)) {
      const entry = this.#entry(bytes.subarray(at, end));
      if (entry) yield entry;
      at = end + 1;
    }
    this.#rest = bytes.subarray(at);
  }

  #entry(line: Buffer): LogEntry | undefined {
    const [head, time, stream, tag] = HEAD.exec(line.toString('latin1', 0, 48)) ?? [];
    if (!head || !time || (stream !== 'stdout' && stream !== 'stderr')) return undefined;
    return {
      time,
      app: this.#app,
      stream,
      text: line.subarray(head.length),
      endsLine: tag === 'F',
    };
  }
}

function open(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function readChunk(fd: number): Buffer | undefined {
  const chunk = Buffer.allocUnsafe(CHUNK);
  const count = readSync(fd, chunk);
  return count > 0 ? chunk.subarray(0, count) : undefined;
}
