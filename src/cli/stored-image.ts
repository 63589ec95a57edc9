import { findStored } from '../image/named.ts';
import { imageTitle } from '../image/publish.ts';
import { parseNameReference } from '../image/reference.ts';
import type { Store, StoredImage } from '../image/store.ts';
import { CliError } from './error.ts';

/**
 * The stored image that `sha512-...` or `NAME[:VERSION][,LABEL=VALUE]...` means, whatever platform it
 * is for. Nothing is fetched.
 *
 * @throws ImageError for a reference that is malformed or ambiguous, CliError when there is none
 */
export function storedImage(store: Store, text: string): StoredImage {
  if (text.startsWith('sha512-')) return store.findByKeyPrefix(text);
  const [image] = findStored(store, parseNameReference(text));
  if (image) return image;
  throw new CliError('input', `image "${text}" is not in the store (see rkt image list)`);
}

/** An image in JSON, named as `rkt image list` does. */
export function imageJson(image: StoredImage): { id: string; name: string } {
  return { id: image.key, name: imageTitle(image) };
}
