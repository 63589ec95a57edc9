import { existsSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { syncFolder } from '../os/files.ts';
import { logEvent } from '../systemd/journal.ts';
import { planLayers } from './closure.ts';
import { ImageError } from './error.ts';
import { forgetFiles } from './local-file.ts';
import { imageTitle, openWorkspace, unlessImporting, withStoreLock } from './publish.ts';
import { forgetRemotes } from './remote-record.ts';
import { type Store, type StoredImage, storeError } from './store.ts';
import { removeLeftovers, type Workspace } from './temp.ts';

/**
 * Removes an image, with those of its trees that no other image and no pod needs; while something is
 * being imported, which may share them, they stay until `removeUnusedTrees`.
 *
 * @param inUse tells whether a pod needs a tree; such a tree stays until `removeUnusedTrees`
 * @throws ImageError `not-found`, `io`
 */
export function removeImage(store: Store, key: string, inUse: (tree: string) => boolean): void {
  takeOut(store, `remove image ${key}`, (work) => {
    const image = store.get(key);
    if (!image) throw new ImageError('not-found', `remove image ${key}: it is not in the store`);
    const trees = [...image.layers, ...renderedFor(store, image)];
    renameSync(store.path('image', key), join(work.path, 'image'));
    moveIfPresent(store.blobPath(key), join(work.path, `blob-${key}`), !image.layers.includes(key));
    const needed = treesOfImages(store);
    unlessImporting(store, () => {
      for (const id of trees) if (!needed.has(id) && !inUse(id)) moveTree(store, work, id);
    });
    forgetFiles(store, key);
    forgetRemotes(store, key);
    logEvent({
      kind: 'image-removed',
      message: `Image ${imageTitle(image)} was removed from the store`,
      code: 'src/image/remove.ts:removeImage',
      fields: [
        ['RKT_IMAGE', imageTitle(image)],
        ['RKT_IMAGE_ID', key],
      ],
    });
  });
}

/**
 * Removes the trees and blobs that no image and no pod needs and that came into the store before
 * `before` (milliseconds since the epoch); none while something is being imported, which may be about
 * to need them. Returns the ids of the trees.
 */
export function removeUnusedTrees(
  store: Store,
  inUse: (tree: string) => boolean,
  before: number,
): string[] {
  if (!existsSync(store.path('tree'))) return [];
  const removed: string[] = [];
  takeOut(store, 'remove unused trees', (work) => {
    unlessImporting(store, () => removed.push(...takeUnused(store, work, inUse, before)));
  });
  return removed;
}

function takeUnused(
  store: Store,
  work: Workspace,
  inUse: (tree: string) => boolean,
  before: number,
): string[] {
  const images = store.list();
  const needed = treesOfImages(store);
  const isOld = (path: string): boolean => statSync(path).ctimeMs < before;
  const unused = readdirSync(store.path('tree')).filter(
    (id) => !needed.has(id) && !inUse(id) && isOld(store.path('tree', id)),
  );
  for (const id of unused) moveTree(store, work, id);
  // A command that was killed between two renames left its blob alone.
  const known = new Set([...images.map(({ key }) => key), ...readdirSync(store.path('tree'))]);
  for (const id of readdirSync(store.path('blob')))
    if (!known.has(id) && isOld(store.blobPath(id)))
      renameSync(store.blobPath(id), join(work.path, `blob-${id}`));
  return unused;
}

/**
 * Clears what killed commands left in cas/tmp, and downloads that nobody went on with since `before`
 * (milliseconds since the epoch); returns the number of folders removed.
 */
export function clearLeftovers(store: Store, before = Date.now()): number {
  return existsSync(store.path('tmp')) ? removeLeftovers(store.path('tmp'), before) : 0;
}

/** Runs `move`, which renames things into the workspace under the store's lock, then deletes them. */
function takeOut<T>(store: Store, attempt: string, move: (work: Workspace) => T): T {
  const work = openWorkspace(store);
  try {
    const result = withStoreLock(store, () => move(work));
    for (const part of ['image', 'tree', 'blob'] as const) syncFolder(store.path(part));
    return result;
  } catch (error) {
    throw error instanceof ImageError ? error : storeError(attempt, error);
  } finally {
    work.discard();
  }
}

function moveTree(store: Store, work: Workspace, id: string): void {
  moveIfPresent(store.path('tree', id), join(work.path, `tree-${id}`), true);
  moveIfPresent(store.blobPath(id), join(work.path, `blob-${id}`), true);
}

function moveIfPresent(from: string, to: string, wanted: boolean): void {
  if (wanted && existsSync(from)) renameSync(from, to);
}

/** The trees of all images, those rendered for them included. */
function treesOfImages(store: Store): Set<string> {
  return new Set(store.list().flatMap((image) => [...image.layers, ...renderedFor(store, image)]));
}

/** An image whose dependencies are not all there has no use for a tree that was rendered for it. */
function renderedFor(store: Store, image: StoredImage): string[] {
  try {
    return planLayers(store, image).renderings.map(({ id }) => id);
  } catch {
    return [];
  }
}
