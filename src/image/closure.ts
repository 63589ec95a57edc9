import { createHash } from 'node:crypto';
import type { Dependency } from '../appc/types.ts';
import { ImageError } from './error.ts';
import { shownName, withHostLabels } from './named.ts';
import type { Store, StoredImage } from './store.ts';

/** A tree that is made of others: their stack, or what a whitelist leaves of it. */
export interface Rendering {
  /** `deps-sha512-` and 64 hex digits of what it is made of. */
  readonly id: string;
  /** Tree ids, bottom first. */
  readonly layers: readonly string[];
  /** Absolute paths; empty for all. */
  readonly whitelist: readonly string[];
}

/** How an image becomes a root file system. */
export interface LayerPlan {
  /** Tree ids for overlayfs, bottom first. */
  readonly layers: readonly string[];
  /** Those among them, and below them, that have to be rendered, in that order. */
  readonly renderings: readonly Rendering[];
}

/**
 * More layers than these are rendered to one: their names must go on the one page that mount(2)
 * takes for options.
 */
const MAX_LAYERS = 40;

/**
 * The ids of the trees that make an image's root file system, bottom first, ready for overlayfs.
 *
 * @throws ImageError as `planLayers`, `io`, and `not-found` for a tree that went away
 */
export async function layersOf(store: Store, image: StoredImage): Promise<string[]> {
  const layers = isPlain(image)
    ? [...image.layers]
    : await (await import('./render.ts')).renderLayers(store, image);
  const gone = layers.find((id) => !store.hasTree(id));
  if (gone === undefined) return layers;
  throw new ImageError(
    'not-found',
    `image "${image.name}" (${image.key}): its tree ${gone} is not in the store; rkt image verify brings it back`,
  );
}

/** Whether an image is its own trees and nothing else, so that no plan is needed. */
function isPlain({ manifest, layers }: StoredImage): boolean {
  const { dependencies, pathWhitelist } = manifest;
  return dependencies.length === 0 && pathWhitelist.length === 0 && layers.length <= MAX_LAYERS;
}

/**
 * The image and all that it depends on, each once: dependencies before what depends on them, those
 * listed later after those listed earlier (surface 4.8).
 *
 * @throws ImageError `bad-image` for images that depend on each other in a circle, `not-found` and
 * `mismatch` for a dependency that is not in the store, or is another image than its id says
 */
export function closureOf(store: Store, image: StoredImage): StoredImage[] {
  const found = new Map<string, StoredImage>();
  visit(store, image, [], (each) => found.set(each.key, each), new Set());
  return [...found.values()];
}

/**
 * Plans an image's layers: those of its dependencies, later ones above earlier ones, its own on top;
 * a whitelist, its own or a dependency's, has the effect of one rendered layer. Throws as `closureOf`.
 */
export function planLayers(store: Store, image: StoredImage): LayerPlan {
  const stacks = new Map<string, readonly string[]>();
  const renderings = new Map<string, Rendering>();
  const stack = (each: StoredImage, dependencies: readonly StoredImage[]): void => {
    const below = dependencies.flatMap(({ key }) => stacks.get(key) ?? []);
    const all = [...below, ...each.layers];
    // Overlayfs takes no folder twice; of a layer that comes again only the upper place shows.
    const layers = [...new Set(all.reverse())].reverse();
    const whitelist = each.manifest.pathWhitelist;
    if (whitelist.length === 0 && layers.length <= MAX_LAYERS) {
      stacks.set(each.key, layers);
      return;
    }
    const id = renderingId(layers, whitelist);
    renderings.set(id, { id, layers, whitelist });
    stacks.set(each.key, [id]);
  };
  visit(store, image, [], stack, new Set());
  return { layers: stacks.get(image.key) ?? [], renderings: [...renderings.values()] };
}

/** Visits an image after its dependencies, each image once. */
function visit(
  store: Store,
  image: StoredImage,
  above: readonly StoredImage[],
  action: (image: StoredImage, dependencies: readonly StoredImage[]) => void,
  done: Set<string>,
): void {
  const path = pathTo(image, above);
  if (done.has(image.key)) return;
  const dependencies = image.manifest.dependencies.map((one) => findDependency(store, image, one));
  for (const dependency of dependencies) visit(store, dependency, path, action, done);
  done.add(image.key);
  action(image, dependencies);
}

/** The stored image that a dependency means: of that id if it has one, else the best of that name. */
function findDependency(
  store: Store,
  image: StoredImage,
  { imageName: name, imageID, labels }: Dependency,
): StoredImage {
  const attempt = `dependency "${name}" of image "${image.name}"`;
  const exact = imageID === undefined ? undefined : store.get(imageID);
  if (exact) {
    const wrong =
      exact.name !== name ||
      labels.some((label) =>
        exact.manifest.labels.every((one) => one.name !== label.name || one.value !== label.value),
      );
    if (!wrong) return exact;
    throw new ImageError(
      'mismatch',
      `${attempt}: the image ${imageID} is "${exact.name}" with other labels or name`,
    );
  }
  const wanted = { name, labels: withHostLabels(labels) };
  const [best] = store.findByName(name, wanted.labels);
  if (!best)
    throw new ImageError(
      'not-found',
      `${attempt}: ${shownName(wanted)} is not in the store; bring it in with rkt fetch, or rkt image import`,
    );
  if (imageID === undefined) return best;
  throw new ImageError('mismatch', `${attempt}: its image ID is ${best.key}, not ${imageID}`);
}

function renderingId(layers: readonly string[], whitelist: readonly string[]): string {
  const digest = createHash('sha512')
    .update(JSON.stringify([layers, whitelist]))
    .digest('hex');
  return `deps-sha512-${digest.slice(0, 64)}`;
}

/** The way to an image through those that depend on it; a circle is ImageError `bad-image`. */
export function pathTo(image: StoredImage, above: readonly StoredImage[]): StoredImage[] {
  const path = [...above, image];
  const start = above.findIndex(({ key }) => key === image.key);
  if (start < 0) return path;
  const names = path.slice(start).map(({ name }) => name);
  throw new ImageError(
    'bad-image',
    `images depend on each other in a circle: ${names.join(' -> ')}`,
  );
}
