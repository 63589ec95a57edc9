import { closeSync, createReadStream, createWriteStream, openSync, readSync } from 'node:fs';
import { join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DiskSpace } from '../os/disk-space.ts';
import type { ByteRange } from './byte-range.ts';
import { type Compression, compressionOf, decompress } from './decompress.ts';
import { ImageError } from './error.ts';
import { openWorkspace } from './publish.ts';
import { reason, type Store } from './store.ts';
import { indexTar } from './tar-index.ts';
import { TarWalker } from './tar-walker.ts';

/** An archive whose members can be read where they stand. */
export interface OpenArchive {
  /** The bytes of a regular file by its name, or undefined. */
  find(name: string): ByteRange | undefined;
  /** Removes what had to be decompressed. */
  close(): void;
}

/**
 * Opens the tar of an image layout or of `docker save`. A plain one is read in place; a compressed
 * one is first decompressed into the store's workspace.
 *
 * @throws ImageError `not-found`, `bad-image`, `missing-program`, `io`
 */
export async function openArchive(store: Store, path: string): Promise<OpenArchive> {
  const compression = compressionOfFile(path);
  if (compression === 'none') return { ...indexTar(path), close: () => {} };
  const work = openWorkspace(store);
  try {
    const plain = join(work.path, 'archive.tar');
    const bytes = whileRoom(decompress(createReadStream(path), compression), work.path);
    const file = createWriteStream(plain, { mode: 0o600 });
    const closed = new Promise<void>((resolve) => file.once('close', () => resolve()));
    await pipeline(Readable.from(bytes), file).finally(() => closed);
    return { ...indexTar(plain), close: () => work.discard() };
  } catch (error) {
    work.discard();
    const code = error instanceof ImageError ? error.code : 'io';
    throw new ImageError(code, `import ${path}: ${reason(error)}`, error);
  }
}

/** Hands bytes on as long as there is room for them. Throws ImageError `io`. */
async function* whileRoom(bytes: AsyncIterable<Buffer>, folder: string): AsyncGenerator<Buffer> {
  const space = new DiskSpace(folder);
  for await (const chunk of bytes) {
    const full = space.refuse(chunk.length, () => `its next ${chunk.length} decompressed bytes`);
    if (full !== undefined) throw new ImageError('io', full);
    yield chunk;
  }
}

/**
 * The name of the first member of a tar, compressed or not, that is not its root; undefined when the
 * file is no tar. An ACI starts with `manifest` or `rootfs`, which no other archive of an image does.
 *
 * @throws ImageError `not-found`, `io`
 */
export async function firstMember(path: string): Promise<string | undefined> {
  const compression = compressionOfFile(path);
  let first: string | undefined;
  const walker = new TarWalker(({ name }) => {
    first ||= posix.join('/', name).replace(/^\/|\/$/g, '');
    return 'drop';
  });
  const file = createReadStream(path);
  try {
    for await (const chunk of decompress(file, compression)) {
      walker.push(chunk);
      if (first) break;
    }
  } catch (error) {
    // Whoever reads it as an image says better what is wrong.
    if (!(error instanceof ImageError)) throw error;
  } finally {
    file.destroy();
  }
  return first;
}

/** Tells the compression of a file by its first bytes. Throws ImageError `io`. */
export function compressionOfFile(path: string): Compression {
  try {
    const fd = openSync(path, 'r');
    try {
      const start = Buffer.alloc(16);
      return compressionOf(start.subarray(0, readSync(fd, start, 0, start.length, 0)));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new ImageError('io', `import ${path}: ${reason(error)}`, error);
  }
}
