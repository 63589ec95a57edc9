import type { Dependency } from '../appc/types.ts';
import { pathTo } from './closure.ts';
import { ImageError } from './error.ts';
import { resolveNamed } from './named.ts';
import type { FetchOptions } from './resolve-options.ts';
import type { Store, StoredImage } from './store.ts';

/**
 * Brings in what an image depends on, and what that depends on in turn, each by the rules for names;
 * a dependency with an image id that is in the store needs nothing else.
 *
 * @throws ImageError `bad-image` for images that depend on each other in a circle, `mismatch` when a
 * dependency is not the image that its id says, and as `resolveNamed`
 */
export async function resolveDependencies(
  store: Store,
  image: StoredImage,
  options: FetchOptions,
): Promise<void> {
  const { signature: _, ...others } = options;
  await visit(store, image, others, [], new Set());
}

async function visit(
  store: Store,
  image: StoredImage,
  options: FetchOptions,
  above: readonly StoredImage[],
  done: Set<string>,
): Promise<void> {
  const path = pathTo(image, above);
  if (done.has(image.key)) return;
  for (const dependency of image.manifest.dependencies)
    await visit(store, await find(store, image, dependency, options), options, path, done);
  done.add(image.key);
}

async function find(
  store: Store,
  image: StoredImage,
  { imageName, imageID, labels }: Dependency,
  options: FetchOptions,
): Promise<StoredImage> {
  const stored = imageID === undefined ? undefined : store.get(imageID);
  // An image of that name with another id is no use.
  const isOther = imageID !== undefined && options.pullPolicy === 'new';
  const asked: FetchOptions = isOther ? { ...options, pullPolicy: 'update' } : options;
  try {
    const found = stored ?? (await resolveNamed(store, { name: imageName, labels }, asked));
    if (imageID === undefined || found.key === imageID) return found;
    throw new ImageError('mismatch', `its image ID is ${found.key}, not ${imageID}`);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new ImageError(
      error.code,
      `dependency "${imageName}" of image "${image.name}": ${error.message}`,
      error,
    );
  }
}
