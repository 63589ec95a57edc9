import { existsSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { syncFolder } from '../os/files.ts';
import { ImageError } from './error.ts';
import { forgetFiles } from './local-file.ts';
import { openWorkspace, withStoreLock } from './publish.ts';
import { type Store, writeError } from './store.ts';
import { removeLeftovers, type Workspace } from './temp.ts';

/**
 * Removes an image, with those of its trees that no other image and no pod needs.
 *
 * @param inUse tells whether a pod needs a tree; such a tree stays until `removeUnusedTrees`
 * @throws ImageError `not-found`, `io`
 */
export function removeImage(store: Store, key: string, inUse: (tree: string) => boolean): void {
  takeOut(store, `remove image ${key}`, (work) => {
    const image = store.get(key);
    if (!image) throw new ImageError('not-found', `remove image ${key}: it is not in the store`);
    renameSync(store.path('image', key), join(work.path, 'image'));
    moveIfPresent(store.blobPath(key), join(work.path, `blob-${key}`), !image.layers.includes(key));
    const needed = treesOfImages(store);
    for (const id of image.layers) if (!needed.has(id) && !inUse(id)) moveTree(store, work, id);
    forgetFiles(store, key);
  });
}

/**
 * Removes the trees that no image and no pod needs and that came into the store before `before`
 * (milliseconds since the epoch), because an import in progress may be about to need newer ones.
 * Returns their ids.
 */
export function removeUnusedTrees(
  store: Store,
  inUse: (tree: string) => boolean,
  before: number,
): string[] {
  if (!existsSync(store.path('tree'))) return [];
  return takeOut(store, 'remove unused trees', (work) => {
    const needed = treesOfImages(store);
    const unused = readdirSync(store.path('tree')).filter(
      (id) => !needed.has(id) && !inUse(id) && statSync(store.path('tree', id)).ctimeMs < before,
    );
    for (const id of unused) moveTree(store, work, id);
    return unused;
  });
}

/** Clears what killed commands left in cas/tmp; returns the number of folders removed. */
export function clearLeftovers(store: Store): number {
  return existsSync(store.path('tmp')) ? removeLeftovers(store.path('tmp')) : 0;
}

/** Runs `move`, which renames things into the workspace under the store's lock, then deletes them. */
function takeOut<T>(store: Store, attempt: string, move: (work: Workspace) => T): T {
  const work = openWorkspace(store);
  try {
    const result = withStoreLock(store, () => move(work));
    for (const part of ['image', 'tree', 'blob'] as const) syncFolder(store.path(part));
    return result;
  } catch (error) {
    throw error instanceof ImageError ? error : writeError(attempt, error);
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

function treesOfImages(store: Store): Set<string> {
  return new Set(store.list().flatMap((image) => image.layers));
}
