import { chmodSync, closeSync, constants, existsSync, fstatSync, openSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DiskSpace } from '../os/disk-space.ts';
import { ImageError } from './error.ts';
import { importAci } from './import-aci.ts';
import { cachedFile, type FileSnapshot, rememberFile, snapshotFile } from './local-file.ts';
import { nameAgain, openWorkspace } from './publish.ts';
import type { ResolveOptions } from './resolve-options.ts';
import { unverifiable, verifySignature } from './signature.ts';
import { reason, type Store, type StoredImage } from './store.ts';

/**
 * The image of an ACI file with a signature: the one that was named, or the one beside it. What is
 * checked are bytes in the store, where nobody else can write, and those are what is taken.
 *
 * @throws ImageError `untrusted`, and as for verifying and importing
 */
export async function findSigned(
  store: Store,
  path: string,
  options: ResolveOptions,
): Promise<StoredImage> {
  if (!options.verify) throw unverifiable(path);
  const signature = options.signature ?? `${path}.asc`;
  if (!existsSync(signature))
    throw new ImageError(
      'untrusted',
      `there is no signature ${signature} for image ${path}; --signature=FILE names one, --insecure-options=image takes the image as it is`,
    );
  const known = cachedFile(store, path);
  if (known && (await isSigned(store, known, path, signature, options))) {
    if (options.pullPolicy === 'update') nameAgain(store, known, false);
    return known;
  }
  const work = openWorkspace(store);
  try {
    const file = join(work.path, 'copy');
    const before = await copyRegular(path, file);
    const accept = await verifySignature(options, {
      where: path,
      file,
      signature,
      name: undefined,
    });
    const source = { reference: path };
    const { warn } = options;
    const image = await importAci(store, file, { source, take: true, warn, accept });
    rememberFile(store, path, before, image.key);
    return image;
  } finally {
    work.discard();
  }
}

/**
 * Whether the signature is over what was received of a stored image; the file may be the same image
 * compressed in another way.
 */
async function isSigned(
  store: Store,
  { key, manifest }: StoredImage,
  path: string,
  signature: string,
  options: ResolveOptions,
): Promise<boolean> {
  const signed = { where: path, file: store.blobPath(key), signature, name: undefined };
  try {
    (await verifySignature(options, signed))(manifest);
    return true;
  } catch {
    return false;
  }
}

/** Copies a file, and tells how it was before. Throws ImageError `bad-image`, `io`. */
async function copyRegular(path: string, to: string): Promise<FileSnapshot> {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const entry = fstatSync(fd);
    if (!entry.isFile()) throw new ImageError('bad-image', 'it is not a regular file');
    const full = new DiskSpace(dirname(to)).refuse(
      entry.size,
      () => `a copy of its ${entry.size} bytes`,
    );
    if (full !== undefined) throw new ImageError('io', full);
    const before = snapshotFile(fd);
    await copyFile(`/proc/self/fd/${fd}`, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    chmodSync(to, 0o600);
    return before;
  } catch (error) {
    const code = error instanceof ImageError ? error.code : 'io';
    throw new ImageError(code, `import ${path}: ${reason(error)}`, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
