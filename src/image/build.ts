import { lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { AppcError } from '../appc/error.ts';
import { parseImageManifest } from '../appc/parse.ts';
import type { ImageManifest } from '../appc/types.ts';
import { ImageError } from './error.ts';
import { checkAbsent, writeOutput } from './output-file.ts';
import { type Compression, packAci, startTar } from './pack.ts';
import { reason } from './store.ts';

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

  const { key, size } = await writeOutput(output, request.overwrite, (fd) =>
    packAci(text, startTar(rootfs, 'rootfs'), request.compression, fd),
  );
  return { key, size, manifest };
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
  checkAbsent(output, overwrite);
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
