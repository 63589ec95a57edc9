import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { Duplex, type Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Header } from 'tar';
import { errnoOf } from '../os/error.ts';
import { ImageError } from './error.ts';

export const compressions = ['none', 'gzip', 'xz', 'zstd'] as const;
export type Compression = (typeof compressions)[number];

/** A running tar and the archive that it writes; `done` settles with its end. */
export interface TarStream {
  readonly child: ChildProcess;
  readonly output: Readable;
  readonly done: Promise<void>;
}

export interface PackOptions {
  /** Members ahead of those that tar writes. */
  readonly head?: Buffer;
  /** Of the uncompressed tar. */
  readonly hash: 'sha512' | 'sha256';
  readonly compression: Compression;
  /** An open file. */
  readonly fd: number;
}

export interface Packed {
  /** Hex digest of the uncompressed tar. */
  readonly tarDigest: string;
  /** Hex SHA-256 of the bytes of the file, and their number. */
  readonly digest: string;
  readonly size: number;
}

/**
 * Starts GNU tar on all that is in a folder, the same each time: sorted, owners numeric, times those
 * of the files. Extended attributes, ACLs and hard links are kept.
 *
 * @param root what the folder is called in the archive; empty for an archive of its content
 */
export function startTar(folder: string, root: string): TarStream {
  const rename = root === '' ? 's,^\\./\\(.\\),\\1,S' : `s,^\\.,${root},S`;
  return spawnTar(`packing ${folder}`, [
    '--create',
    '--format=posix',
    '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
    '--sort=name',
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=*',
    '--xattrs-exclude=security.selinux',
    `--directory=${folder}`,
    `--transform=${rename}`,
    '.',
  ]);
}

/** Starts GNU tar, which writes an archive to its stdout. */
export function spawnTar(attempt: string, args: readonly string[]): TarStream {
  const child = spawn('tar', args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment() });
  return { child, output: child.stdout, done: ended(child, 'tar', attempt) };
}

/** Writes an ACI, its manifest first, with the rest from a tar of its `rootfs`. */
export async function packAci(
  manifest: Buffer,
  tar: TarStream,
  compression: Compression,
  fd: number,
): Promise<{ key: string; size: number }> {
  const head = manifestMember(manifest);
  const { tarDigest, size } = await pack(tar, { head, hash: 'sha512', compression, fd });
  return { key: `sha512-${tarDigest.slice(0, 64)}`, size };
}

/** Writes an archive to a file, compressed. Throws ImageError `missing-program`, `io`, or an errno. */
export async function pack(tar: TarStream, options: PackOptions): Promise<Packed> {
  const { head, hash, compression, fd } = options;
  const [tarHash, fileHash] = [createHash(hash), createHash('sha256')];
  let size = 0;
  const whole = new Transform({
    construct(done) {
      if (head) {
        tarHash.update(head);
        this.push(head);
      }
      done();
    },
    transform(chunk, _encoding, done) {
      tarHash.update(chunk);
      done(null, chunk);
    },
  });
  const compressor = startCompressor(compression);
  const file = new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        fileHash.update(chunk);
        size += chunk.length;
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
        done();
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  });
  try {
    await Promise.all([
      pipeline([tar.output, whole, ...compressor.streams, file]),
      tar.done,
      compressor.done,
    ]);
  } catch (error) {
    tar.child.kill('SIGKILL');
    compressor.child?.kill('SIGKILL');
    await Promise.allSettled([tar.done, compressor.done]);
    throw error;
  }
  return { tarDigest: tarHash.digest('hex'), digest: fileHash.digest('hex'), size };
}

/** The first member: what the file system says of the manifest's file has no place in an image. */
function manifestMember(content: Buffer): Buffer {
  const member = Buffer.alloc(512 * (1 + Math.ceil(content.length / 512)));
  new Header({
    path: 'manifest',
    type: 'File',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: content.length,
    mtime: new Date(0),
  }).encode(member);
  content.copy(member, 512);
  return member;
}

function startCompressor(compression: Compression): {
  child?: ChildProcess;
  streams: Duplex[];
  done: Promise<void>;
} {
  if (compression === 'none') return { streams: [], done: Promise.resolve() };
  if (compression === 'gzip') return { streams: [createGzip()], done: Promise.resolve() };
  // One thread: what several write depends on their number.
  const child = spawn(compression, ['-q', '-c', '-T1'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: environment(),
  });
  const stream = Duplex.from({ writable: child.stdin, readable: child.stdout });
  return { child, streams: [stream], done: ended(child, compression, 'compressing the image') };
}

/** Nothing of the caller's environment may change what is written. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
}

async function ended(child: ChildProcess, program: string, attempt: string): Promise<void> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 4096) said += text;
  });
  try {
    const [status] = await once(child, 'close');
    if (status === 0) return;
    const why = said.trim().split('\n')[0] || `${program} ended with status ${status}`;
    throw new ImageError('io', `${attempt} failed: ${why}`);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw new ImageError(
      'missing-program',
      `${attempt} needs the program "${program}": install the package of that name`,
      error,
    );
  }
}
