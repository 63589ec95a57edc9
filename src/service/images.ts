import { findStored } from '../image/named.ts';
import { parseNameReference } from '../image/reference.ts';
import type { Store, StoredImage } from '../image/store.ts';
import type { ImageProperties, ManagerMethods } from './api.generated.ts';
import { ServiceError } from './error.ts';
import { objectPath } from './objects.ts';

/** An image by its key, the beginning of it, or its name. Throws ServiceError, ImageError. */
export function imageNamed(store: Store, text: string): StoredImage {
  if (text.startsWith('sha512-')) return store.findByKeyPrefix(text);
  const [image] = findStored(store, parseNameReference(text));
  if (!image) throw new ServiceError('NoSuchImage', `image "${text}" is not in the store`);
  return image;
}

/** The image of an object's path; undefined when there is none. */
export function imageAt(store: Store, name: string): StoredImage | undefined {
  return /^sha512_[0-9a-f]{64}$/.test(name) ? store.get(name.replace('_', '-')) : undefined;
}

/** The properties of an image: size in bytes, times in microseconds since 1970. */
export function imageProperties(image: StoredImage): ImageProperties {
  return {
    ID: image.key,
    Name: image.name,
    Labels: labelsOf(image),
    Size: image.size,
    ImportTimestamp: microseconds(image.importTime),
    LastUsedTimestamp: microseconds(image.lastUsed),
  };
}

/** A line of ListImages. */
export function imageLine(
  image: StoredImage,
): ManagerMethods['ListImages']['out']['images'][number] {
  return {
    id: image.key,
    name: image.name,
    imported: microseconds(image.importTime),
    size: image.size,
    more: { 'last-used': microseconds(image.lastUsed), labels: labelsOf(image) },
    object: objectPath('image', image.key),
  };
}

function labelsOf({ manifest }: StoredImage): Record<string, string> {
  return Object.fromEntries(manifest.labels.map(({ name, value }) => [name, value]));
}

function microseconds(nanoseconds: number): number {
  return Math.trunc(nanoseconds / 1000);
}
