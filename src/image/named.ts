import { hostArch, labelValue } from '../appc/platform.ts';
import type { ImageManifest, NameValue } from '../appc/types.ts';
import { longName } from './docker-reference.ts';
import { ImageError } from './error.ts';
import { canFetch, type ResolveOptions } from './resolve-options.ts';
import type { Store, StoredImage } from './store.ts';

/** An image as it is asked for by name. */
export interface WantedImage {
  readonly name: string;
  readonly labels: readonly NameValue[];
}

/**
 * The image of a name, from the store or by discovery, as the pull policy says.
 *
 * @throws ImageError `not-found`, and as `fetchNamed`
 */
export async function resolveNamed(
  store: Store,
  { name, labels }: WantedImage,
  options: ResolveOptions,
): Promise<StoredImage> {
  const wanted = { name, labels: withHostLabels(labels) };
  const asks = canFetch(options) && options.pullPolicy !== 'never';
  const stored = asks && options.pullPolicy === 'update' ? [] : findStored(store, wanted);
  if (stored[0]) return stored[0];
  if (asks) return (await import('./fetch-named.ts')).fetchNamed(store, wanted, options);
  throw new ImageError(
    'not-found',
    `image ${shownName(wanted)} is not in the store; bring it in with rkt fetch, or rkt image import`,
  );
}

/**
 * The stored images of a name, best first; where there are none, those of the name that Docker's users
 * shorten so.
 */
export function findStored(store: Store, { name, labels }: WantedImage): StoredImage[] {
  const found = store.findByName(name, labels);
  const long = found.length === 0 ? longName(name) : undefined;
  return long === undefined ? found : store.findByName(long, labels);
}

/** What a name means by default: an image for this host. */
export function withHostLabels(labels: readonly NameValue[]): NameValue[] {
  const host = [
    { name: 'os', value: 'linux' },
    { name: 'arch', value: hostArch() },
  ];
  return [...labels, ...host.filter(({ name }) => labelValue(labels, name) === undefined)];
}

/** Throws ImageError `mismatch` unless a manifest carries the name and each label that are wanted. */
export function checkManifest(manifest: ImageManifest, { name, labels }: WantedImage): void {
  if (manifest.name !== name)
    throw new ImageError(
      'mismatch',
      `name mismatch: its name is "${manifest.name}", not "${name}"`,
    );
  for (const label of labels) {
    const value = labelValue(manifest.labels, label.name);
    if (value === label.value) continue;
    const found = value === undefined ? 'is missing' : `is "${value}"`;
    throw new ImageError(
      'mismatch',
      `label mismatch: its label "${label.name}" ${found}, not "${label.value}"`,
    );
  }
}

/** `"NAME:VERSION,LABEL=VALUE" for OS on ARCH`. */
export function shownName({ name, labels }: WantedImage): string {
  const version = labelValue(labels, 'version');
  const others = labels
    .filter((label) => !['version', 'os', 'arch'].includes(label.name))
    .map((label) => `,${label.name}=${label.value}`);
  const reference = `${name}${version === undefined ? '' : `:${version}`}${others.join('')}`;
  return `"${reference}" for ${labelValue(labels, 'os')} on ${labelValue(labels, 'arch')}`;
}
