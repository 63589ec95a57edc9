import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ImageManifest } from '../appc/types.ts';
import { writeFileAtomic } from '../os/files.ts';
import { closureOf, planLayers, type Rendering } from './closure.ts';
import { firstDifference } from './compare-trees.ts';
import { ImageError } from './error.ts';
import { isFolderLayer, makeFolderLayer } from './folder-layer.ts';
import { unpackAci } from './import-aci.ts';
import { unpackLayer } from './layer.ts';
import { openWorkspace, replaceTree } from './publish.ts';
import { makeRendering } from './render.ts';
import { reason, type Store, type StoredImage } from './store.ts';
import type { Workspace } from './temp.ts';

/**
 * Proves that what the disk holds of an image, and of all that it depends on, is what its key says: its
 * bytes are hashed again and unpacked again beside each tree. A tree that differs is replaced.
 *
 * @param isMounted tells why a tree can't be replaced now, such as `by pod UUID`
 * @returns what was damaged and is repaired, a line each
 * @throws ImageError `mismatch` when the stored bytes themselves are damaged, `in-use` for a damaged
 * tree that is mounted
 */
export async function verifyImage(
  store: Store,
  image: StoredImage,
  isMounted: (tree: string) => string | undefined,
): Promise<string[]> {
  const repairs: string[] = [];
  const verify = async (id: string, make: (work: Workspace) => Promise<number | undefined>) => {
    const work = openWorkspace(store);
    try {
      const repair = await verifyTree(store, id, work, make, isMounted);
      if (repair !== undefined) repairs.push(repair);
    } catch (error) {
      const code = error instanceof ImageError ? error.code : 'io';
      throw new ImageError(code, `verify image ${image.key}: ${reason(error)}`, error);
    } finally {
      work.discard();
    }
  };
  const done = new Set<string>();
  const { images, renderings } = partsOf(store, image);
  for (const each of images) {
    if (!each.layers.includes(each.key)) checkConfig(store, each);
    for (const id of each.layers) {
      if (!done.has(id)) await verify(id, (work) => makeAnew(store, id, each, work, repairs));
      done.add(id);
    }
  }
  for (const rendering of renderings)
    if (store.hasTree(rendering.id))
      await verify(rendering.id, async (work) => {
        await makeRendering(store, rendering, work);
        return undefined;
      });
  return repairs;
}

/** An image whose dependencies are not all there is verified by itself. */
function partsOf(
  store: Store,
  image: StoredImage,
): { images: readonly StoredImage[]; renderings: readonly Rendering[] } {
  try {
    return {
      images: closureOf(store, image),
      renderings: planLayers(store, image).renderings,
    };
  } catch {
    return { images: [image], renderings: [] };
  }
}

/** Compares a tree with one that is made anew; gives a line when it was replaced. */
async function verifyTree(
  store: Store,
  id: string,
  work: Workspace,
  make: (work: Workspace) => Promise<number | undefined>,
  isMounted: (tree: string) => string | undefined,
): Promise<string | undefined> {
  const size = await make(work);
  const fresh = join(work.path, 'tree/rootfs');
  const isThere = existsSync(store.treeRoot(id));
  const difference = isThere ? await firstDifference(fresh, store.treeRoot(id)) : undefined;
  if (isThere && difference === undefined) return undefined;
  const damage = isThere ? `tree ${id} differed at ${difference}` : `tree ${id} was missing`;
  const user = isMounted(id);
  if (user !== undefined)
    throw new ImageError(
      'in-use',
      `${damage}, and it is in use ${user}: stop that, and verify again`,
    );
  await replaceTree(store, work, id, size);
  return damage;
}

/** Makes a tree of an image again; returns the size of its content. */
async function makeAnew(
  store: Store,
  id: string,
  image: StoredImage,
  work: Workspace,
  repairs: string[],
): Promise<number> {
  if (!isFolderLayer(id)) return unpackBlob(store, id, image, work, repairs);
  await makeFolderLayer(store, image.layers.slice(0, image.layers.indexOf(id)), work);
  return 0;
}

/** Unpacks the stored bytes of a tree again; returns the size of their content. */
async function unpackBlob(
  store: Store,
  id: string,
  image: StoredImage,
  work: Workspace,
  repairs: string[],
): Promise<number> {
  const bytes = createReadStream(store.blobPath(id), { highWaterMark: 1 << 20 });
  try {
    if (id !== image.key) {
      const { tarDigest, treeSize } = await unpackLayer(bytes, work, {
        hashBlob: false,
        keep: false,
      });
      checkDigest(id, `sha256-${tarDigest}`);
      return treeSize;
    }
    const { key, manifest, treeSize } = await unpackAci(bytes, work, false);
    checkDigest(id, key);
    if (repairManifest(store, image, manifest)) repairs.push('its manifest differed');
    return treeSize;
  } catch (error) {
    if (error instanceof ImageError && ['io', 'denied'].includes(error.code)) throw error;
    throw new ImageError(
      'mismatch',
      `its stored bytes ${store.blobPath(id)} are damaged (${reason(error)}): remove the image, and bring it in again`,
      error,
    );
  } finally {
    bytes.destroy();
  }
}

function checkDigest(expected: string, actual: string): void {
  if (actual !== expected) throw new ImageError('mismatch', `their hash is ${actual}`);
}

/** True when the stored manifest was not the archive's. */
function repairManifest(store: Store, { key }: StoredImage, manifest: ImageManifest): boolean {
  const path = store.path('image', key, 'manifest');
  const text = JSON.stringify(manifest);
  if (readFileSync(path, 'utf8') === text) return false;
  writeFileAtomic(path, text, 0o644);
  return true;
}

/** The key of an OCI image is the hash of its config. */
function checkConfig(store: Store, { key }: StoredImage): void {
  const path = store.blobPath(key);
  const digest = createHash('sha512').update(readFileSync(path)).digest('hex');
  if (`sha512-${digest.slice(0, 64)}` === key) return;
  throw new ImageError(
    'mismatch',
    `verify image ${key}: its config ${path} is damaged: remove the image, and bring it in again`,
  );
}
