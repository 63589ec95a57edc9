import { statSync } from 'node:fs';
import { join } from 'node:path';
import { hostArch } from '../appc/platform.ts';
import type { NameValue } from '../appc/types.ts';
import { ImageError } from './error.ts';
import { cachedFile } from './local-file.ts';
import { type ImageReference, type LocalReference, parseImageReference } from './reference.ts';
import { reason, type Store, type StoredImage } from './store.ts';

export const pullPolicies = ['new', 'never', 'update'] as const;
/** When the network is asked: for what is missing, never, or always for something newer. */
export type PullPolicy = (typeof pullPolicies)[number];

export interface ResolveOptions {
  readonly pullPolicy: PullPolicy;
  /** `image`: take images that nobody verified. */
  readonly insecure: { readonly image: boolean };
  /** Gets lines for the user's stderr. */
  readonly warn: (line: string) => void;
}

/** Checks the value of `--pull-policy`. Throws ImageError `bad-reference`. */
export function parsePullPolicy(text: string): PullPolicy {
  const found = pullPolicies.find((policy) => policy === text);
  if (found) return found;
  throw new ImageError(
    'bad-reference',
    `bad pull policy ${JSON.stringify(text)}, must be one of ${pullPolicies.join(', ')}`,
  );
}

/**
 * The stored image that a user means: looked up by key or name, or brought in from this machine.
 * A local file is read whatever the pull policy, unless it has not changed since it was imported.
 *
 * @throws ImageError `untrusted` for a local image without `insecure.image`, `not-found`,
 * `unsupported` for what is on the network, and as for reading references and importing
 */
export async function resolveImage(
  store: Store,
  text: string,
  options: ResolveOptions,
): Promise<StoredImage> {
  const reference = parseImageReference(text);
  switch (reference.kind) {
    case 'hash':
      return store.findByKeyPrefix(reference.key);
    case 'name':
      return findNamed(store, reference, text);
    case 'url':
      throw new ImageError(
        'unsupported',
        `cannot fetch ${text}: images are not fetched by URL yet; download it and give its path`,
      );
    case 'docker':
      throw new ImageError(
        'unsupported',
        `cannot fetch ${text}: registries are not asked yet; save the image as an oci-archive or docker-archive and give its path`,
      );
    default:
      return findLocal(store, reference, options);
  }
}

function findNamed(
  store: Store,
  { name, labels }: Extract<ImageReference, { kind: 'name' }>,
  text: string,
): StoredImage {
  const [best] = store.findByName(name, withHostLabels(labels));
  if (best) return best;
  throw new ImageError(
    'not-found',
    `image ${JSON.stringify(text)} for linux on ${hostArch()} is not in the store, and names are not discovered on the network yet; import its file with rkt image import, or give its path`,
  );
}

/** What a name means by default: an image for this host. */
function withHostLabels(labels: readonly NameValue[]): NameValue[] {
  const host = [
    { name: 'os', value: 'linux' },
    { name: 'arch', value: hostArch() },
  ];
  return [...labels, ...host.filter(({ name }) => labels.every((label) => label.name !== name))];
}

async function findLocal(
  store: Store,
  reference: LocalReference,
  { insecure, warn }: ResolveOptions,
): Promise<StoredImage> {
  const { path } = reference;
  checkReachable(path);
  if (!insecure.image)
    throw new ImageError(
      'untrusted',
      `image ${path} is not verified, since signatures cannot be checked yet; --insecure-options=image takes it as it is`,
    );
  warn(`image ${path} is taken unverified (--insecure-options=image)`);
  const tag = reference.kind === 'file' ? undefined : reference.tag;
  const known = cachedFile(store, path, tag) ?? cachedFile(store, join(path, 'index.json'), tag);
  if (known) return known;
  const { importLocal } = await import('./import-local.ts');
  return importLocal(store, reference, warn);
}

function checkReachable(path: string): void {
  try {
    statSync(path);
  } catch (error) {
    throw new ImageError('not-found', `cannot read image ${path}: ${reason(error)}`, error);
  }
}
