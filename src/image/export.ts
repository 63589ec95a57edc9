import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { compressionOf, decompress } from './decompress.ts';
import { ImageError } from './error.ts';
import { checkAbsent, writeOutput } from './output-file.ts';
import { reason, type Store, type StoredImage } from './store.ts';

/** Throws ImageError `bad-reference` for another name than an ACI file has, `exists`. */
export function checkAciOutput(output: string, overwrite: boolean): void {
  if (!output.endsWith('.aci'))
    throw new ImageError('bad-reference', `cannot write ${output}: its name must end in .aci`);
  checkAbsent(output, overwrite);
}

/**
 * Writes the ACI that an image was stored from, uncompressed, so that the file's hash is the key.
 *
 * @throws ImageError `unsupported` for an image that was no ACI, `mismatch` when the stored bytes are
 * damaged, and as `checkAciOutput` and `writeOutput`
 */
export async function exportAci(
  store: Store,
  image: StoredImage,
  output: string,
  overwrite: boolean,
): Promise<void> {
  const { key, name, layers } = image;
  if (!layers.includes(key))
    throw new ImageError(
      'unsupported',
      `cannot export image "${name}": it is made of OCI layers, and no ACI; rkt image convert makes one of it`,
    );
  const path = resolve(output);
  checkAciOutput(path, overwrite);
  await writeOutput(path, overwrite, (fd) => writeAci(store, key, fd));
}

async function writeAci(store: Store, key: string, fd: number): Promise<void> {
  const path = store.blobPath(key);
  const hash = createHash('sha512');
  const bytes = createReadStream(path, { highWaterMark: 1 << 20 });
  try {
    for await (const chunk of decompress(bytes, compressionOf(startOf(path)))) {
      hash.update(chunk);
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    }
  } catch (error) {
    const code = error instanceof ImageError ? error.code : 'io';
    throw new ImageError(code, `export image ${key}: ${reason(error)}`, error);
  } finally {
    bytes.destroy();
  }
  if (`sha512-${hash.digest('hex').slice(0, 64)}` === key) return;
  throw new ImageError(
    'mismatch',
    `export image ${key}: its stored bytes ${path} are damaged: remove the image, and bring it in again`,
  );
}

function startOf(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const start = Buffer.alloc(6);
    return start.subarray(0, readSync(fd, start));
  } finally {
    closeSync(fd);
  }
}
