import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ImageManifest } from '../appc/index.ts';
import { errnoOf } from '../os/error.ts';
import { syncFolder, writeFileAtomic } from '../os/files.ts';
import { lockFile, tryLockFile } from '../os/lock.ts';
import { exchange, syncfsAsync } from '../os/syscalls.ts';
import { logEvent } from '../systemd/journal.ts';
import { ImageError } from './error.ts';
import {
  type ImageInfo,
  type ImageSource,
  namesOf,
  type OtherName,
  type RankedImage,
  rank,
  type Store,
  type StoredImage,
  storeError,
} from './store.ts';
import { makeWorkspace, type Workspace } from './temp.ts';

/** An image whose trees are in the store. */
export interface NewImage {
  /** `sha512-` and 64 hex digits. */
  readonly key: string;
  readonly manifest: ImageManifest;
  /** Tree ids, bottom first; they must be in the store. */
  readonly layers: readonly string[];
  readonly source?: ImageSource;
  /** The bytes that the key is the hash of, where no tree's blob is: an OCI image config. */
  readonly config?: Uint8Array;
}

/**
 * Runs `change` while no other process adds to or takes from the store. Waits for its turn, so it
 * is for renames, and for what must be true as long as they take.
 */
export function withStoreLock<T>(store: Store, change: () => T): T {
  const lock = lockFile(join(store.dataDir, 'locks', 'cas'), 'exclusive');
  try {
    return change();
  } finally {
    lock.release();
  }
}

/**
 * Runs an import, which gives trees their names before the image that has them: until it ends no tree is
 * taken from the store for being nobody's.
 */
export async function whileImporting<T>(store: Store, action: () => Promise<T>): Promise<T> {
  store.create();
  const importing = lockFile(importLock(store), 'shared');
  try {
    return await action();
  } finally {
    importing.release();
  }
}

/** Whether nothing is being imported; imports that begin now wait until `then` has ended. */
export function unlessImporting(store: Store, then: () => void): boolean {
  const lock = tryLockFile(importLock(store), 'exclusive');
  if (!lock) return false;
  try {
    then();
    return true;
  } finally {
    lock.release();
  }
}

function importLock(store: Store): string {
  return join(store.dataDir, 'locks', 'import');
}

/** Makes the store and a workspace in it. Throws ImageError `io`. */
export function openWorkspace(store: Store): Workspace {
  store.create();
  try {
    return makeWorkspace(store.path('tmp'));
  } catch (error) {
    throw storeError(`write to the image store ${store.cas}`, error);
  }
}

/**
 * Gives the tree of a workspace (`tree/rootfs`) and the blob that it was unpacked from, if any
 * (`blob`), their final names, after all of it is on the disk. `size` is the tree's, in bytes. A tree
 * that is there stays.
 */
export async function installTree(
  store: Store,
  work: Workspace,
  id: string,
  size?: number,
): Promise<void> {
  const [tree, blob] = [join(work.path, 'tree'), join(work.path, 'blob')];
  if (size !== undefined) writeFileSync(join(tree, 'size'), String(size), { mode: 0o644 });
  await syncAll(work.path);
  withStoreLock(store, () => {
    if (existsSync(blob)) renameIfAbsent(blob, store.blobPath(id));
    renameIfAbsent(tree, store.path('tree', id));
  });
  syncFolder(store.path('blob'));
  syncFolder(store.path('tree'));
}

/** Puts the tree of a workspace (`tree`) in the place of a damaged one, which is then in the workspace. */
export async function replaceTree(
  store: Store,
  work: Workspace,
  id: string,
  size?: number,
): Promise<void> {
  const [tree, place] = [join(work.path, 'tree'), store.path('tree', id)];
  if (size !== undefined) writeFileSync(join(tree, 'size'), String(size), { mode: 0o644 });
  await syncAll(work.path);
  withStoreLock(store, () => {
    if (existsSync(place)) exchange(tree, place);
    else renameSync(tree, place);
  });
  syncFolder(store.path('tree'));
}

/**
 * Adds an image of trees that are in the store; one that is there stays as it is, and is found by the
 * name that it came by now as well. Throws ImageError `not-found` when a tree was removed meanwhile:
 * import it again.
 */
export function addImage(store: Store, image: NewImage): StoredImage {
  const { key, manifest, layers, source, config } = image;
  const work = openWorkspace(store);
  let isNew = false;
  try {
    const version = manifest.labels.find((label) => label.name === 'version')?.value;
    const named = {
      name: manifest.name,
      ...(version === undefined ? {} : { version }),
    };
    const content = {
      size: layers.reduce((sum, id) => sum + sizeOnDisk(store, id), config?.length ?? 0),
      layers,
      ...(source ? { source } : {}),
    };
    const folder = join(work.path, 'image');
    mkdirSync(folder, { mode: 0o755 });
    writeFileSync(join(folder, 'manifest'), JSON.stringify(manifest), { mode: 0o644, flush: true });
    if (config) writeFileSync(join(work.path, 'blob'), config, { mode: 0o600, flush: true });
    withStoreLock(store, () => {
      const gone = layers.find((id) => !store.hasTree(id));
      if (gone !== undefined)
        throw new ImageError(
          'not-found',
          `add image ${key}: its tree ${gone} was removed meanwhile, import it again`,
        );
      isNew = !existsSync(store.path('image', key));
      const images = store.listReadable();
      const importTime = nextTime(images, manifest.name);
      if (isNew) {
        const info: ImageInfo = { ...named, importTime, ...content };
        writeFileSync(join(folder, 'info'), JSON.stringify(info), { mode: 0o644, flush: true });
        syncFolder(folder);
      }
      if (config) renameIfAbsent(join(work.path, 'blob'), store.blobPath(key));
      if (isNew) renameSync(folder, store.path('image', key));
      else noteName(store, images, key, { ...named, latest: source?.latest ?? false, importTime });
    });
    syncFolder(store.path('blob'));
    syncFolder(store.path('image'));
  } catch (error) {
    throw error instanceof ImageError
      ? error
      : storeError(`add image ${key} to the store ${store.cas}`, error);
  } finally {
    work.discard();
  }
  const stored = store.get(key);
  if (!stored) throw new ImageError('not-found', `add image ${key}: it was removed meanwhile`);
  if (isNew)
    logEvent({
      kind: 'image-added',
      message: `Image ${imageTitle(stored)} was added to the store`,
      code: 'src/image/publish.ts:addImage',
      fields: [
        ['RKT_IMAGE', imageTitle(stored)],
        ['RKT_IMAGE_ID', key],
        ...(source ? [['RKT_SOURCE', source.reference] as const] : []),
      ],
    });
  return stored;
}

/**
 * Notes that a name led to a stored image again, so that of all that it ever led to this is the last;
 * the name that it has in its manifest unless another one is given. Throws ImageError `io`.
 */
export function nameAgain(
  store: Store,
  image: StoredImage,
  latest: boolean,
  { name, version }: Pick<OtherName, 'name' | 'version'> = image,
): void {
  const named = { name, ...(version === undefined ? {} : { version }) };
  try {
    withStoreLock(store, () => {
      const images = store.listReadable();
      const importTime = nextTime(images, name);
      noteName(store, images, image.key, { ...named, latest, importTime });
    });
  } catch (error) {
    throw storeError(`note the name ${name} of image ${image.key}`, error);
  }
}

function noteName(
  store: Store,
  images: readonly StoredImage[],
  key: string,
  { name, version, latest = false, importTime }: OtherName,
): void {
  const image = store.get(key);
  if (!image || leadsTo(images, image, { name, version, latest })) return;
  const path = store.path('image', key, 'info');
  const known: ImageInfo = JSON.parse(readFileSync(path, 'utf8'));
  const others = (known.otherNames ?? []).filter(
    (other) =>
      other.name !== name || other.version !== version || (other.latest ?? false) !== latest,
  );
  const other = { name, ...(version === undefined ? {} : { version }), latest, importTime };
  writeFileAtomic(path, JSON.stringify({ ...known, otherNames: [...others, other] }), 0o644);
}

/** Whether a name, with its version and without, leads to an image as it would if it came by it now. */
function leadsTo(
  images: readonly StoredImage[],
  image: StoredImage,
  { name, version, latest }: { name: string; version: string | undefined; latest: boolean },
): boolean {
  const isKnown = namesOf(image).some(
    (each) => each.name === name && each.version === version && (each.latest || !latest),
  );
  if (!isKnown) return false;
  const isThis = (found: RankedImage | undefined) => found?.image.key === image.key;
  if (
    version !== undefined &&
    !isThis(rank(images, name, [{ name: 'version', value: version }])[0])
  )
    return false;
  const any = rank(images, name, []);
  if (latest) return isThis(any[0]);
  // What comes by its version is no rival of what was the latest, and does not change whose turn that is.
  return any.some((each) => isThis(each) && each.asLatest > 0) || isThis(any.find(neverLatest));
}

function neverLatest({ asLatest }: RankedImage): boolean {
  return asLatest === 0;
}

/** Of numbers of this size not all are there, but of two with this distance each is. */
const tick = 1024;

/**
 * Nanoseconds since the epoch, for what comes by a name now: later than all that came by it, be it that
 * the clock was set back.
 */
function nextTime(images: readonly StoredImage[], name: string): number {
  return images
    .flatMap(namesOf)
    .filter((each) => each.name === name)
    .reduce((time, { importTime }) => Math.max(time, importTime + tick), Date.now() * 1e6);
}

/** `NAME:VERSION`, as the journal has it. */
export function imageTitle({ name, version }: StoredImage): string {
  return version === undefined ? name : `${name}:${version}`;
}

function sizeOnDisk(store: Store, id: string): number {
  try {
    return (
      Number(readFileSync(store.path('tree', id, 'size'), 'utf8')) +
      (statSync(store.blobPath(id), { throwIfNoEntry: false })?.size ?? 0)
    );
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

/** Under the store's lock, so that what is absent stays absent until the rename. */
function renameIfAbsent(from: string, to: string): void {
  if (!existsSync(to)) renameSync(from, to);
}

async function syncAll(path: string): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    await syncfsAsync(fd);
  } finally {
    closeSync(fd);
  }
}
