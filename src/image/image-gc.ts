import { closureOf } from './closure.ts';
import { clearLeftovers, removeImage, removeUnusedTrees } from './remove.ts';
import type { Store, StoredImage } from './store.ts';

export interface ImageGcOptions {
  /** Milliseconds without use after which an image goes. */
  readonly gracePeriod: number;
  /** Keys of images and ids of trees that pods need. */
  readonly inUse: { readonly images: ReadonlySet<string>; readonly trees: ReadonlySet<string> };
}

export interface ImageGcReport {
  /** An image is gone. */
  removed(image: StoredImage): void;
  /** Trees are gone that nothing needed. */
  removedTrees(ids: readonly string[]): void;
  /** An image could not be removed; the others go on. */
  failed(error: unknown): void;
}

/** An import gives its layers their names before the image; it takes no longer than this as a rule. */
const IMPORT_TIME = 3600_000;

/**
 * Removes images that no pod needs and nobody has used for the grace period, except what the others
 * depend on; then trees that are left over, and what killed commands left. The caller holds the prepare
 * lock exclusively, so that no pod is being made of what goes (surface 4.9).
 */
export function collectImages(store: Store, options: ImageGcOptions, report: ImageGcReport): void {
  const { inUse, gracePeriod } = options;
  const images = store.list();
  const kept = new Set(
    images
      .filter((image) => inUse.images.has(image.key) || !isExpired(image, gracePeriod))
      .flatMap((image) => needs(store, image)),
  );
  for (const image of images) {
    if (kept.has(image.key)) continue;
    try {
      removeImage(store, image.key, (tree) => inUse.trees.has(tree));
      report.removed(image);
    } catch (error) {
      report.failed(error);
    }
  }
  const before = Date.now() - Math.min(gracePeriod, IMPORT_TIME);
  const trees = removeUnusedTrees(store, (tree) => inUse.trees.has(tree), before);
  if (trees.length > 0) report.removedTrees(trees);
  clearLeftovers(store, Date.now() - gracePeriod);
}

function isExpired({ lastUsed }: StoredImage, gracePeriod: number): boolean {
  return Date.now() - lastUsed / 1e6 >= gracePeriod;
}

/** The keys of an image and its dependencies; when those are broken, its own. */
function needs(store: Store, image: StoredImage): string[] {
  try {
    return closureOf(store, image).map(({ key }) => key);
  } catch {
    return [image.key];
  }
}
