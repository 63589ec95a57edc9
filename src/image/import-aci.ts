import { closeSync, createReadStream, fstatSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { AppcError, type ImageManifest } from '../appc/index.ts';
import { parseImageManifest } from '../appc/parse.ts';
import { ImageError } from './error.ts';
import { cachedFile, type FileSnapshot, rememberFile, snapshotFile } from './local-file.ts';
import { addImage, installTree, nameAgain, openWorkspace, whileImporting } from './publish.ts';
import { type ImageSource, reason, type Store, type StoredImage } from './store.ts';
import { badTar, folderHeader, quoteName } from './tar-headers.ts';
import type { TarEntry, Verdict } from './tar-walker.ts';
import type { Workspace } from './temp.ts';
import { TreeRules } from './tree-rules.ts';
import { type Content, type Unpacked, unpack } from './unpack.ts';

export interface ImportOptions {
  /** Recorded with a new image; default: the file's path. */
  readonly source?: ImageSource;
  /** The key that the content must have. */
  readonly key?: string;
  /** Throws when the manifest is not that of the image that is wanted; then nothing is stored. */
  readonly accept?: (manifest: ImageManifest) => void;
  /** The file is the caller's to give: it becomes the stored blob, which is else a copy of it. */
  readonly take?: boolean;
  /** Gets a line for what of it could not be kept. */
  readonly warn?: (line: string) => void;
}

/**
 * Brings an ACI file (plain, gzip, bzip2, xz or zstd) into the store and returns its image. A file
 * that was imported before and has not changed since is not read; an image that is there stays.
 *
 * @throws ImageError whose message names the file and the reason; nothing is left behind
 */
export async function importAci(
  store: Store,
  file: string,
  options: ImportOptions = {},
): Promise<StoredImage> {
  try {
    const cached = cachedFile(store, file);
    if (cached) {
      options.accept?.(cached.manifest);
      nameAgain(store, withKey(cached, options.key), options.source?.latest ?? false);
      return cached;
    }
    const { bytes, before } = openImage(file);
    try {
      const source = options.source ?? { reference: file };
      const given = options.take ? file : undefined;
      const image = await whileImporting(store, () =>
        importBytes(store, bytes, source, options, given),
      );
      if (!options.take) rememberFile(store, file, before, image.key);
      return image;
    } finally {
      bytes.destroy();
    }
  } catch (error) {
    throw importError(options.source?.reference ?? file, error);
  }
}

async function importBytes(
  store: Store,
  bytes: Readable,
  source: ImageSource,
  { key: wanted, accept, warn }: ImportOptions,
  file: string | undefined,
): Promise<StoredImage> {
  const work = openWorkspace(store);
  try {
    const unpacked = await unpackAci(bytes, work, file === undefined);
    const { key, manifest } = withKey(unpacked, wanted);
    accept?.(manifest);
    const known = store.get(key);
    if (known) {
      nameAgain(store, known, source.latest ?? false);
      return known;
    }
    if (file !== undefined) renameSync(file, join(work.path, 'blob'));
    await installTree(store, work, key, unpacked.treeSize);
    const added = addImage(store, { key, manifest, layers: [key], source });
    for (const warning of unpacked.warnings) warn?.(`${source.reference}: ${warning}`);
    return added;
  } finally {
    work.discard();
  }
}

/** Unpacks an ACI as `tree/rootfs` of a workspace. Throws ImageError, AppcError with the bare reason. */
export async function unpackAci(
  bytes: Readable,
  work: Workspace,
  keep: boolean,
): Promise<Pick<Unpacked, 'treeSize' | 'warnings'> & { key: string; manifest: ImageManifest }> {
  const content = new AciContent();
  const { tarDigest, treeSize, warnings } = await unpack(bytes, work, content, {
    hash: 'sha512',
    hashBlob: false,
    keep,
    into: 'tree',
    refuse: whyNoTar,
  });
  return {
    key: `sha512-${tarDigest.slice(0, 64)}`,
    manifest: content.manifest(),
    treeSize,
    warnings,
  };
}

/** What an ACI may hold: the file `manifest`, the folder `rootfs` and what lies below it, once each. */
export class AciContent implements Content {
  readonly #rules = new TreeRules(false);
  #manifest: Buffer | undefined;

  judge(entry: TarEntry): Verdict {
    const path = this.#rules.normalise(entry.name);
    if (path === '' && entry.type === 'directory') return 'drop';
    const isManifest = path === 'manifest';
    if (!isManifest && path !== 'rootfs' && !path.startsWith('rootfs/'))
      throw badTar(`the entry ${quoteName(entry.name)} is neither "manifest" nor below "rootfs"`);
    if (isManifest && entry.type !== 'file') throw badTar('its "manifest" is no regular file');
    if (path === 'rootfs' && entry.type !== 'directory') throw badTar('its "rootfs" is no folder');
    if (entry.type === 'hardlink' && !entry.linkName.replace(/^(\.\/+)+/, '').startsWith('rootfs/'))
      throw badTar(
        `the hard link ${quoteName(path)} to ${quoteName(entry.linkName)} points outside "rootfs"`,
      );
    this.#rules.add(path, entry);
    if (!isManifest) return 'pass';
    return {
      capture: (content) => {
        this.#manifest = content;
      },
    };
  }

  finish(): Buffer[] {
    this.manifest();
    if (!this.#rules.kind('rootfs')) throw badTar('it has no "rootfs"');
    const implied = [...this.#rules.implied()].filter((path) => path !== '');
    return implied.map((path) => folderHeader(path));
  }

  /** Throws ImageError `bad-image`, AppcError. */
  manifest(): ImageManifest {
    if (!this.#manifest) throw badTar('it has no "manifest"');
    return parseImageManifest(this.#manifest.toString('utf8'));
  }
}

function openImage(file: string): { bytes: Readable; before: FileSnapshot } {
  try {
    const fd = openSync(file, 'r');
    if (fstatSync(fd).isFile())
      return {
        before: snapshotFile(fd),
        bytes: createReadStream('', { fd, highWaterMark: 1 << 20 }),
      };
    closeSync(fd);
  } catch (error) {
    throw new ImageError('not-found', reason(error), error);
  }
  throw new ImageError('bad-image', 'it is not a regular file');
}

/** Anything without tar's magic is told apart here, for a clearer message than a wrong checksum. */
export function whyNoTar(start: Buffer): string | undefined {
  if (start.length === 0) return 'it is empty';
  if (start.toString('latin1', 257, 262) === 'ustar') return undefined;
  if (/^\s*<(!doctype|html|head|body|\?xml)/i.test(start.toString('latin1', 0, 512)))
    return 'it is a web page (HTML), not an ACI: check the address that it came from';
  return 'it is of an unknown type: not a tar, also not after decompression';
}

function withKey<Image extends { key: string }>(image: Image, wanted: string | undefined): Image {
  if (wanted !== undefined && wanted !== image.key)
    throw new ImageError('mismatch', `its image ID is ${image.key}, not ${wanted}`);
  return image;
}

function importError(file: string, error: unknown): ImageError {
  const code = error instanceof ImageError ? error.code : 'io';
  return new ImageError(
    error instanceof AppcError ? 'bad-manifest' : code,
    `import ${file}: ${reason(error)}`,
    error,
  );
}
