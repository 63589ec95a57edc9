import {
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { labelValue } from '../appc/platform.ts';
import type { ImageManifest } from '../appc/types.ts';
import { errnoOf } from '../os/error.ts';
import { syncFolder } from '../os/files.ts';
import { statInRoot } from '../os/inroot.ts';
import { exchange, syncfs } from '../os/syscalls.ts';
import { layersOf } from './closure.ts';
import { ociConfigOf, restoredManifest } from './convert-config.ts';
import { ImageError } from './error.ts';
import { withMerged } from './merge.ts';
import { parseConfig } from './oci-schema.ts';
import { LayoutWriter, startLayoutTar } from './oci-write.ts';
import { checkAbsent, exists, writeOutput } from './output-file.ts';
import { type Compression, pack, packAci, startTar, type TarStream } from './pack.ts';
import { openWorkspace } from './publish.ts';
import { reason, type Store, type StoredImage } from './store.ts';

/** Where a conversion goes to, which says what it makes. Paths are absolute. */
export type ConvertTarget =
  | { readonly kind: 'aci'; readonly path: string }
  | { readonly kind: 'oci' | 'oci-archive'; readonly path: string; readonly tag?: string };

export interface ConvertOptions {
  /** Of an ACI, and of layers that are made; those of an OCI image stay as they are. */
  readonly compression: Compression;
  /** Replace a file, or a layout, that is there. */
  readonly overwrite: boolean;
  /** Gets a line for whatever the other format cannot express. */
  readonly warn: (line: string) => void;
}

/** `org.opencontainers.image.ref.name` (image-spec: annotations.md). */
const refName = /^[A-Za-z0-9]+(?:(?:[-._:@+]|--|\/)[A-Za-z0-9]+)*$/;

/**
 * Parses where a conversion goes to: `FILE.aci`, a folder, `oci:FOLDER[:TAG]` or
 * `oci-archive:FILE[:TAG]`. Throws ImageError `bad-reference`.
 */
export function parseConvertTarget(text: string): ConvertTarget {
  const wrong = (why: string) =>
    new ImageError('bad-reference', `cannot convert to ${JSON.stringify(text)}: ${why}`);
  const [, scheme, path = '', tag] = /^([a-z-]+):([^:]*)(?::(.*))?$/s.exec(text) ?? [];
  if (scheme === 'oci' || scheme === 'oci-archive') {
    if (path === '') throw wrong(`a path must follow ${scheme}:`);
    if (tag !== undefined && !refName.test(tag)) throw wrong(`${JSON.stringify(tag)} is no tag`);
    return { kind: scheme, path: resolve(path), ...(tag !== undefined && { tag }) };
  }
  if (/^[a-z-]+:/.test(text) && !text.endsWith('.aci'))
    throw wrong('it must be a FILE.aci, a folder, oci:FOLDER[:TAG] or oci-archive:FILE[:TAG]');
  if (text.endsWith('.aci')) return { kind: 'aci', path: resolve(text) };
  if (/\.(tar|tgz|oci)(\.\w+)?$/.test(text)) throw wrong(`for an archive say oci-archive:${text}`);
  if (text === '') throw wrong('it is empty');
  return { kind: 'oci', path: resolve(text) };
}

/**
 * Writes a stored image in another format; the same image gives the same bytes. What is written
 * appears whole or not at all. The caller sees to it that the image stays in the store meanwhile.
 *
 * @returns the key of the ACI, or the digest of the OCI image manifest
 * @throws ImageError `exists`, `unsupported`, `mismatch` for a damaged layer, `not-found`,
 * `missing-program`, `io`
 */
export async function convertImage(
  store: Store,
  image: StoredImage,
  target: ConvertTarget,
  options: ConvertOptions,
): Promise<string> {
  if (target.kind === 'oci') checkFolderTarget(target.path, options.overwrite);
  else checkAbsent(target.path, options.overwrite);
  if (!lstatSync(dirname(target.path), { throwIfNoEntry: false }))
    throw new ImageError('io', `cannot write ${target.path}: no folder ${dirname(target.path)}`);
  const work = openWorkspace(store);
  try {
    const source = await openSource(store, image, work.path);
    if (target.kind === 'aci') return await convertToAci(source, target.path, options);
    const tag = target.tag ?? defaultTag(image.manifest);
    if (target.kind === 'oci')
      return await writeFolder(target.path, options.overwrite, (folder) =>
        writeLayout(source, folder, tag, options),
      );
    const layout = join(work.path, 'layout');
    const digest = await writeLayout(source, layout, tag, options);
    await writeOutput(target.path, options.overwrite, (fd) =>
      pack(startLayoutTar(layout), { hash: 'sha256', compression: 'none', fd }),
    );
    return digest;
  } finally {
    work.discard();
  }
}

/** An image in the store, and its one tree. */
interface Source {
  readonly store: Store;
  readonly manifest: ImageManifest;
  /** Bytes of the config of an OCI image; an ACI has none. */
  readonly config: Buffer | undefined;
  tar(root: string): TarStream;
  ownerOfPath(path: string): { uid: number; gid: number } | undefined;
}

async function openSource(store: Store, image: StoredImage, scratch: string): Promise<Source> {
  const isAci = image.layers.includes(image.key);
  const layers = (await layersOf(store, image)).map((id) => store.treeRoot(id));
  // What an image depends on is in its tree already.
  const manifest = { ...image.manifest, dependencies: [], pathWhitelist: [] };
  let views = 0;
  const withTree = <T>(action: (tree: string) => T): T =>
    withMerged(layers, join(scratch, `view-${views++}`), action);
  return {
    store,
    manifest,
    config: isAci ? undefined : readConfig(store, image),
    tar: (root) => withTree((tree) => startTar(tree, root)),
    ownerOfPath: (path) => withTree((tree) => statInRoot(tree, path)),
  };
}

function readConfig(store: Store, { key }: StoredImage): Buffer {
  try {
    return readFileSync(store.blobPath(key));
  } catch (error) {
    throw new ImageError('io', `cannot read the config of image ${key}: ${reason(error)}`, error);
  }
}

async function convertToAci(
  { manifest, config, tar, ownerOfPath }: Source,
  path: string,
  { compression, overwrite, warn }: ConvertOptions,
): Promise<string> {
  const result = config
    ? restoredManifest(manifest, config, ownerOfPath)
    : { manifest, warnings: [] };
  for (const warning of result.warnings) warn(warning);
  const text = Buffer.from(JSON.stringify(result.manifest));
  const { key } = await writeOutput(path, overwrite, (fd) =>
    packAci(text, tar('rootfs'), compression, fd),
  );
  return key;
}

async function writeLayout(
  source: Source,
  folder: string,
  tag: string,
  { compression, warn }: ConvertOptions,
): Promise<string> {
  const layout = new LayoutWriter(folder);
  const { store, config } = source;
  if (config) {
    const parsed = parseConfig(config, 'image config');
    const layers = [];
    for (const diffId of parsed.rootfs.diff_ids)
      layers.push(await layout.keepLayer(store.blobPath(diffId.replace(':', '-')), diffId));
    return layout.finish(config, parsed, layers, tag);
  }
  const { descriptor, diffId } = await layout.addLayer(source.tar(''), compression);
  const made = ociConfigOf({ ...source, diffIds: [diffId] });
  for (const warning of made.warnings) warn(warning);
  return layout.finish(made.config, made.platform, [descriptor], tag);
}

function defaultTag({ labels }: ImageManifest): string {
  const version = labelValue(labels, 'version');
  return version !== undefined && refName.test(version) ? version : 'latest';
}

/** Throws ImageError `exists` for what is neither empty nor a layout that may be replaced. */
function checkFolderTarget(path: string, overwrite: boolean): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (!there || (there.isDirectory() && readdirSync(path).length === 0)) return;
  if (!overwrite) throw exists(path);
  if (!there.isDirectory() || !existsSync(join(path, 'oci-layout')))
    throw new ImageError('exists', `cannot overwrite ${path}: it is no OCI layout`);
}

/** Makes a folder that appears whole, and on the disk, or not at all. */
async function writeFolder<T>(
  path: string,
  overwrite: boolean,
  write: (folder: string) => Promise<T>,
): Promise<T> {
  let temporary: string | undefined;
  try {
    temporary = mkdtempSync(join(dirname(path), `.${basename(path)}.`));
    const made = join(temporary, 'layout');
    const result = await write(made);
    syncFileSystem(made);
    checkFolderTarget(path, overwrite);
    if (existsSync(path)) exchange(made, path);
    else renameSync(made, path);
    syncFolder(dirname(path));
    return result;
  } catch (error) {
    if (error instanceof ImageError) throw error;
    if (errnoOf(error) === 'ENOTEMPTY') throw exists(path);
    throw new ImageError('io', `cannot write ${path}: ${reason(error)}`, error);
  } finally {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  }
}

function syncFileSystem(path: string): void {
  const fd = openSync(path, 'r');
  try {
    syncfs(fd);
  } finally {
    closeSync(fd);
  }
}
