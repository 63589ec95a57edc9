import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { copyFolders } from './copy-paths.ts';
import { ImageError } from './error.ts';
import { installTree, openWorkspace } from './publish.ts';
import { reason, type Store } from './store.ts';
import type { Workspace } from './temp.ts';

/**
 * What the tree of a layer does not tell of its folders. Paths are relative to its root, in latin1;
 * the root is the empty path.
 */
export interface FolderMarks {
  /** Folders without an entry of their own: what a lower layer says of them counts. */
  readonly implied: readonly string[];
  /** Folders with whiteouts in them. */
  readonly whitedOut: readonly string[];
  /** Folders of which nothing in lower layers counts. */
  readonly opaque: readonly string[];
}

const PREFIX = 'folders-sha256-';

/** Keeps the marks of a layer beside its tree, in a workspace. */
export function writeMarks(work: Workspace, marks: FolderMarks): void {
  if (Object.values(marks).every((paths) => paths.length === 0)) return;
  writeFileSync(join(work.path, 'tree', 'folders'), JSON.stringify(marks), { mode: 0o600 });
}

/**
 * The trees that show an image's layers as its makers meant them, bottom first. Layers that an opaque
 * root hides are left out, since overlayfs looks at no root for that. Where needed a tree is added on
 * top, of folders alone:
 *
 * - those that the topmost layer has no entry for, with what a lower one says of them;
 * - those with whiteouts that no other layer has, since overlayfs hides whiteouts only from folders
 *   that it merges.
 *
 * @param layers ids of the trees of layers, bottom first, each once
 * @throws ImageError `io`
 */
export async function stackLayers(store: Store, layers: readonly string[]): Promise<string[]> {
  const stack = visible(store, layers);
  const ids = stack.map(({ id }) => id);
  if (findSources(stack).size === 0) return ids;
  const id = PREFIX + createHash('sha256').update(JSON.stringify(ids)).digest('hex');
  if (!store.hasTree(id)) {
    const work = openWorkspace(store);
    try {
      await makeFolderLayer(store, ids, work);
      await installTree(store, work, id, 0);
    } catch (error) {
      const code = error instanceof ImageError ? error.code : 'io';
      throw new ImageError(code, `stack layers: ${reason(error)}`, error);
    } finally {
      work.discard();
    }
  }
  return [...ids, id];
}

/** Whether a tree is one of folders alone, which were made out of the layers below it. */
export function isFolderLayer(id: string): boolean {
  return id.startsWith(PREFIX);
}

/** Makes the tree of folders for layers as `tree/rootfs` of a workspace. Throws ImageError `io`. */
export async function makeFolderLayer(
  store: Store,
  layers: readonly string[],
  work: Workspace,
): Promise<void> {
  const sources = findSources(visible(store, layers));
  await copyFolders(sources, join(work.path, 'tree/rootfs'), work.path);
}

/** The layers that count, bottom first. */
function visible(store: Store, ids: readonly string[]): Layer[] {
  const layers = ids.map((id) => new Layer(store, id));
  const lowest = layers.findLastIndex((layer) => layer.opaque.has(''));
  return lowest < 0 ? layers : layers.slice(lowest);
}

/** Which folders are needed, and from which tree (its root) each is to be copied. */
function findSources(stack: readonly Layer[]): Map<string, string[]> {
  const topFirst = stack.toReversed();
  const found = new Map<string, Layer>();
  const need = (path: string): void => {
    if (found.has(path)) return;
    const { having } = havingFolder(topFirst, path);
    const source = having.find(({ implied }) => !implied.has(path)) ?? having[0];
    if (!source) return;
    if (path !== '') need(parentOf(path));
    found.set(path, source);
  };
  for (const layer of stack)
    for (const path of [...layer.implied, ...layer.whitedOut]) {
      const { having, merged } = havingFolder(topFirst, path);
      const [top] = having;
      if (!top) continue;
      const isShown = merged === 1 && top.whitedOut.has(path);
      const isOthers = top.implied.has(path) && having.some(({ implied }) => !implied.has(path));
      if (isShown || isOthers) need(path);
    }
  const sources = new Map<string, string[]>();
  for (const [path, { root }] of found) {
    const paths = sources.get(root) ?? [];
    paths.push(path);
    sources.set(root, paths);
  }
  return sources;
}

/**
 * The layers that have a folder at a path, top first, and how many of them overlayfs merges: an opaque
 * whiteout takes away what lower layers have in the folder, not what they say of it.
 */
function havingFolder(
  topFirst: readonly Layer[],
  path: string,
): { having: Layer[]; merged: number } {
  const having: Layer[] = [];
  let merged: number | undefined;
  for (const layer of topFirst) {
    const { isFolder, hidesLower, hidesContent } = layer.at(path);
    if (isFolder) having.push(layer);
    if (hidesContent) merged ??= having.length;
    if (hidesLower) break;
  }
  return { having, merged: merged ?? having.length };
}

/** What a layer has at a path, and whether lower layers can have a say there. */
interface Place {
  readonly isFolder: boolean;
  readonly hidesLower: boolean;
  /** The same of what is below the path. */
  readonly hidesContent: boolean;
}

class Layer {
  readonly id: string;
  readonly root: string;
  readonly implied: ReadonlySet<string>;
  readonly whitedOut: ReadonlySet<string>;
  readonly opaque: ReadonlySet<string>;
  readonly #places = new Map<string, Place>();

  constructor(store: Store, id: string) {
    const marks = readMarks(store, id);
    this.id = id;
    this.root = store.treeRoot(id);
    this.implied = new Set(marks.implied);
    this.whitedOut = new Set(marks.whitedOut);
    this.opaque = new Set(marks.opaque);
  }

  at(path: string): Place {
    let place = this.#places.get(path);
    if (!place) {
      place = this.#look(path);
      this.#places.set(path, place);
    }
    return place;
  }

  /** No link is followed: what is below something else than a folder is not looked at. */
  #look(path: string): Place {
    const opaque = this.opaque.has(path);
    if (path === '') return { isFolder: true, hidesLower: false, hidesContent: opaque };
    const parent = this.at(parentOf(path));
    if (!parent.isFolder) return parent;
    const stats = lstatSync(Buffer.concat([Buffer.from(`${this.root}/`), latin1(path)]), {
      throwIfNoEntry: false,
    });
    const hidden = parent.hidesContent;
    if (!stats) return { isFolder: false, hidesLower: hidden, hidesContent: hidden };
    if (!stats.isDirectory()) return { isFolder: false, hidesLower: true, hidesContent: true };
    return { isFolder: true, hidesLower: hidden, hidesContent: hidden || opaque };
  }
}

function readMarks(store: Store, id: string): FolderMarks {
  try {
    return JSON.parse(readFileSync(store.path('tree', id, 'folders'), 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { implied: [], whitedOut: [], opaque: [] };
    throw new ImageError('io', `cannot read the marks of tree ${id}: ${reason(error)}`, error);
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function latin1(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
