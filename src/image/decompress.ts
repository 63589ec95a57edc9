import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { errnoOf } from '../os/error.ts';
import { ImageError } from './error.ts';

export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz' | 'zstd';

const MAGIC: readonly (readonly [Compression, string])[] = [
  ['gzip', '1f8b'],
  ['bzip2', '425a68'],
  ['xz', 'fd377a585a00'],
  ['zstd', '28b52ffd'],
];

/** Tells the compression by the first bytes of a file (surface 4.2). */
export function compressionOf(start: Buffer): Compression {
  const hex = start.toString('hex', 0, 6);
  return MAGIC.find(([, magic]) => hex.startsWith(magic))?.[0] ?? 'none';
}

/**
 * The uncompressed bytes of a stream. What is damaged or cut short throws ImageError `bad-image`,
 * a missing program `missing-program`; what `bytes` throws comes through as it is.
 */
export function decompress(
  bytes: AsyncIterable<Buffer>,
  compression: Compression,
): AsyncIterable<Buffer> {
  switch (compression) {
    case 'none':
      return bytes;
    case 'gzip':
      return gunzip(bytes);
    default:
      return runDecompressor(bytes, compression);
  }
}

async function* gunzip(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const plain = createGunzip({ chunkSize: 1 << 18 });
  const feeding = pipeline(Readable.from(bytes, { objectMode: false }), plain);
  feeding.catch(() => {});
  try {
    for await (const chunk of plain) yield chunk as Buffer;
    await feeding;
  } catch (error) {
    const code = errnoOf(error) ?? '';
    if (code === 'Z_BUF_ERROR')
      throw new ImageError('bad-image', 'it is truncated: its gzip data ends too early', error);
    if (code.startsWith('Z_')) throw new ImageError('bad-image', 'its gzip data is damaged', error);
    throw error;
  } finally {
    plain.destroy();
  }
}

/** What root gives up for a program that reads bytes of unknown origin. */
const AS_NOBODY = [
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
  '--bounding-set=-all',
  '--inh-caps=-all',
];

/**
 * Runs the system's program with no capability and nothing but its three streams: as nobody, or as
 * the user who is no root anyway.
 */
async function* runDecompressor(
  bytes: AsyncIterable<Buffer>,
  program: Compression,
): AsyncGenerator<Buffer> {
  const limits = program === 'xz' ? ['--memlimit-decompress=512MiB'] : [];
  const child = spawn(
    'setpriv',
    [
      ...(process.geteuid?.() === 0 ? AS_NOBODY : []),
      '--no-new-privs',
      '--',
      program,
      '-dc',
      ...limits,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/', env: { PATH: process.env['PATH'], LC_ALL: 'C' } },
  );
  const said = collectLines(child);
  const ended = exitOf(child);
  const feeding = pipeline(Readable.from(bytes, { objectMode: false }), child.stdin);
  feeding.catch(() => {});
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const status = await ended;
    if (status === 0) return await feeding;
    // A failure of the input is the reason for the program's own.
    await feeding.catch((error: unknown) => {
      if (errnoOf(error) !== 'EPIPE' && errnoOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE')
        throw error;
    });
    throw decompressorError(program, status, said()[0] ?? `status ${status}`);
  } finally {
    child.kill('SIGKILL');
    await ended.catch(() => {});
  }
}

function decompressorError(program: string, status: number | undefined, said: string): ImageError {
  if (status === 127 || /failed to execute|No such file or directory/.test(said))
    return new ImageError(
      'missing-program',
      `it is compressed with ${program}, which is not installed here`,
    );
  if (/end of (input|file)|unexpected end|ends unexpectedly|premature/i.test(said))
    return new ImageError('bad-image', `it is truncated: its ${program} data ends too early`);
  return new ImageError('bad-image', `its ${program} data is damaged (${said})`);
}

/** The lines that a child has written to stderr; what is too much is cut. */
export function collectLines(child: ChildProcess): () => string[] {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (more: string) => {
    if (text.length < 65536) text += more;
  });
  return () =>
    text
      .split('\n')
      .map((line) => line.trim().slice(0, 500))
      .filter((line) => line !== '');
}

/** The exit status of a child whose streams have ended; undefined when a signal killed it. */
export async function exitOf(child: ChildProcess): Promise<number | undefined> {
  const [status] = (await once(child, 'close')) as [number | null];
  return status ?? undefined;
}
