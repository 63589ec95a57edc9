import { lstatSync } from 'node:fs';
import { join, posix } from 'node:path';
import { closureOf, planLayers, type Rendering } from './closure.ts';
import { copyPaths } from './copy-paths.ts';
import { ImageError } from './error.ts';
import { copyLayers, withMerged } from './merge.ts';
import { installTree, openWorkspace } from './publish.ts';
import { reason, type Store, type StoredImage } from './store.ts';
import type { Workspace } from './temp.ts';

/**
 * The layers of an image that is not plain; what has to be rendered is, once for all pods. All that it
 * depends on counts as used now.
 *
 * @throws ImageError as `planLayers`, and `io`
 */
export async function renderLayers(store: Store, image: StoredImage): Promise<string[]> {
  const { layers, renderings } = planLayers(store, image);
  for (const rendering of renderings)
    if (!store.hasTree(rendering.id)) await render(store, rendering, image);
  for (const { key } of closureOf(store, image)) store.touch(key);
  return [...layers];
}

async function render(store: Store, rendering: Rendering, image: StoredImage): Promise<void> {
  const work = openWorkspace(store);
  try {
    await makeRendering(store, rendering, work);
    await installTree(store, work, rendering.id);
  } catch (error) {
    const code = error instanceof ImageError ? error.code : 'io';
    throw new ImageError(code, `render image "${image.name}": ${reason(error)}`, error);
  } finally {
    work.discard();
  }
}

/** Makes a rendered tree as `tree/rootfs` of a workspace. Throws ImageError `io`. */
export async function makeRendering(
  store: Store,
  { layers, whitelist }: Rendering,
  work: Workspace,
): Promise<void> {
  const roots = layers.map((id) => store.treeRoot(id));
  const target = join(work.path, 'tree/rootfs');
  if (whitelist.length === 0) return copyLayers(roots, target, work.path);
  const paths = withMerged(roots, join(work.path, 'look'), (root) => pathsToKeep(root, whitelist));
  await copyPaths(roots, paths, target, work.path);
}

/**
 * What a whitelist keeps of a tree: each path that is there, without what is below it, and the folders
 * on the way. No link is followed. Relative to the root, in latin1, folders before their content.
 */
function pathsToKeep(root: string, whitelist: readonly string[]): string[] {
  const kept = new Set(['.']);
  for (const path of whitelist) {
    const way: string[] = [];
    const names = posix.normalize(path).split('/').filter(Boolean);
    names.forEach((_, depth) => {
      way.push(names.slice(0, depth + 1).join('/'));
    });
    const isThere = way.every((step, depth) => {
      const stats = lstatSync(join(root, step), { throwIfNoEntry: false });
      return stats !== undefined && (depth === way.length - 1 || stats.isDirectory());
    });
    if (isThere) for (const step of way) kept.add(Buffer.from(step).toString('latin1'));
  }
  return [...kept];
}
