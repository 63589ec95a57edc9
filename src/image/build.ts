import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { Duplex, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Header } from 'tar';
import { AppcError } from '../appc/error.ts';
import { parseImageManifest } from '../appc/parse.ts';
import type { ImageManifest } from '../appc/types.ts';
import { errnoOf } from '../os/error.ts';
import { syncFolder } from '../os/files.ts';
import { ImageError } from './error.ts';
import { reason } from './store.ts';

export const compressions = ['none', 'gzip', 'xz', 'zstd'] as const;
export type Compression = (typeof compressions)[number];

export interface BuildRequest {
  /** An image layout, `manifest` and `rootfs/`; with `manifest` given, the root file system itself. */
  readonly folder: string;
  /** Path of the image file, which must end in `.aci`. */
  readonly output: string;
  /** Path of the image manifest, when it is not in the folder. */
  readonly manifest?: string;
  readonly compression: Compression;
  /** Replace a file that is there. */
  readonly overwrite: boolean;
}

export interface BuiltImage {
  /** `sha512-` and 64 hex digits: what it will have in a store. */
  readonly key: string;
  /** Bytes of the file. */
  readonly size: number;
  readonly manifest: ImageManifest;
}

/**
 * Packs a folder as an App Container Image (spec: aci.md). The same input gives the same bytes:
 * names are sorted, owners numeric, times those of the files, and of the manifest's file only the
 * content counts. Extended attributes, ACLs and hard links are kept.
 *
 * The output appears whole or not at all.
 *
 * @throws ImageError `bad-manifest`, `bad-image` for a folder of another shape, `exists`,
 * `missing-program`, `io`
 */
export async function buildAci(request: BuildRequest): Promise<BuiltImage> {
  const folder = realpathOf(request.folder, 'build from');
  const output = resolve(request.output);
  const rootfs = request.manifest === undefined ? join(folder, 'rootfs') : folder;
  if (request.manifest === undefined) checkLayout(folder);
  checkFolder(rootfs);
  checkOutput(output, folder, request.overwrite);
  const text = readInput(request.manifest ?? join(folder, 'manifest'));
  const manifest = parseManifest(text, request.manifest ?? join(folder, 'manifest'));

  const temporary = join(dirname(output), `.${basename(output)}.${process.pid}.tmp`);
  try {
    const fd = openSync(temporary, 'wx', 0o644);
    try {
      const digest = await pack(text, rootfs, request.compression, fd);
      fsyncSync(fd);
      const { size } = fstatSync(fd);
      if (request.overwrite) renameSync(temporary, output);
      else linkSync(temporary, output);
      return { key: `sha512-${digest.slice(0, 64)}`, size, manifest };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof ImageError) throw error;
    if (errnoOf(error) === 'EEXIST') throw exists(output);
    throw new ImageError('io', `cannot write ${output}: ${reason(error)}`, error);
  } finally {
    rmSync(temporary, { force: true });
    syncFolder(dirname(output));
  }
}

function checkLayout(folder: string): void {
  checkFolder(folder);
  const entries = readdirSync(folder).sort();
  const extra = entries.find((name) => name !== 'manifest' && name !== 'rootfs');
  const missing = ['manifest', 'rootfs'].find((name) => !entries.includes(name));
  if (missing !== undefined)
    throw new ImageError(
      'bad-image',
      `${folder} is no image layout: no "${missing}" in it; give --manifest=FILE if it is a root file system`,
    );
  if (extra !== undefined)
    throw new ImageError(
      'bad-image',
      `${folder} is no image layout: "${extra}" is neither "manifest" nor "rootfs"`,
    );
}

function checkFolder(path: string): void {
  if (!lstatSync(path).isDirectory())
    throw new ImageError('bad-image', `cannot build from ${path}: it is no folder`);
}

function checkOutput(output: string, folder: string, overwrite: boolean): void {
  if (!output.endsWith('.aci'))
    throw new ImageError('bad-reference', `cannot build ${output}: its name must end in .aci`);
  const parent = realpathOf(dirname(output), 'write to');
  if (`${parent}${sep}`.startsWith(`${folder}${sep}`))
    throw new ImageError(
      'bad-reference',
      `cannot build ${output}: it would be inside the folder that it is made of`,
    );
  const there = lstatSync(output, { throwIfNoEntry: false });
  if (there && !overwrite) throw exists(output);
  if (there && !there.isFile())
    throw new ImageError('exists', `cannot overwrite ${output}: it is no regular file`);
}

function exists(output: string): ImageError {
  return new ImageError('exists', `cannot build ${output}: it exists; use --overwrite`);
}

function realpathOf(path: string, attempt: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new ImageError('io', `cannot ${attempt} ${path}: ${reason(error)}`, error);
  }
}

function readInput(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ImageError('io', `cannot read ${path}: ${reason(error)}`, error);
  }
}

function parseManifest(text: Buffer, path: string): ImageManifest {
  try {
    return parseImageManifest(text.toString('utf8'));
  } catch (error) {
    if (!(error instanceof AppcError)) throw error;
    throw new ImageError('bad-manifest', `${path}: ${error.message}`, error);
  }
}

/** Writes the archive to `fd`; returns the SHA-512 of the uncompressed tar in hex. */
async function pack(
  manifest: Buffer,
  rootfs: string,
  compression: Compression,
  fd: number,
): Promise<string> {
  const tar = startTar(rootfs);
  const hash = createHash('sha512');
  const whole = new Transform({
    construct(done) {
      this.push(manifestMember(manifest));
      done();
    },
    transform(chunk, _encoding, done) {
      done(null, chunk);
    },
  });
  const hashed = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const compressor = startCompressor(compression);
  const file = new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
        done();
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  });
  try {
    await Promise.all([
      pipeline([tar.output, whole, hashed, ...compressor.streams, file]),
      tar.done,
      compressor.done,
    ]);
  } catch (error) {
    tar.child.kill('SIGKILL');
    compressor.child?.kill('SIGKILL');
    await Promise.allSettled([tar.done, compressor.done]);
    throw error;
  }
  return hash.digest('hex');
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

function startTar(rootfs: string) {
  const child = spawn(
    'tar',
    [
      '--create',
      '--format=posix',
      '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
      '--sort=name',
      '--numeric-owner',
      '--acls',
      '--xattrs',
      '--xattrs-include=*',
      '--xattrs-exclude=security.selinux',
      `--directory=${rootfs}`,
      '--transform=s,^\\.,rootfs,S',
      '.',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: environment() },
  );
  return { child, output: child.stdout, done: ended(child, 'tar', `packing ${rootfs}`) };
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
