import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ImageError } from './error.ts';
import { cachedFile } from './local-file.ts';
import { resolveNamed } from './named.ts';
import { type ImageReference, type LocalReference, parseImageReference } from './reference.ts';
import { canFetch, type ResolveOptions } from './resolve-options.ts';
import { reason, type Store, type StoredImage } from './store.ts';

export {
  type PullPolicy,
  parsePullPolicy,
  pullPolicies,
  type ResolveOptions,
  type VerifyAci,
} from './resolve-options.ts';

/**
 * The stored image that a user means: looked up by key, by name or by URL, else brought in from this
 * machine or, as the pull policy says, from the network, together with all that it depends on. A local
 * file is read whatever the policy, unless it has not changed since it was imported.
 *
 * @throws ImageError `untrusted` for an image that is not verified without `insecure.image`,
 * `not-found`, and as for reading references, fetching and importing; HttpError
 */
export async function resolveImage(
  store: Store,
  text: string,
  options: ResolveOptions,
): Promise<StoredImage> {
  const image = await findImage(store, parseImageReference(text), text, options);
  if (image.manifest.dependencies.length > 0 && canFetch(options))
    await (await import('./dependencies.ts')).resolveDependencies(store, image, options);
  return image;
}

async function findImage(
  store: Store,
  reference: ImageReference,
  text: string,
  options: ResolveOptions,
): Promise<StoredImage> {
  switch (reference.kind) {
    case 'hash':
      return store.findByKeyPrefix(reference.key);
    case 'name':
      return resolveNamed(store, reference, options);
    case 'url':
      return findByUrl(store, reference.url, options);
    case 'docker':
      if (!canFetch(options))
        throw new ImageError('not-found', `image ${text} is not on this machine; fetch it first`);
      return (await import('./registry/fetch-docker.ts')).fetchDocker(store, reference, options);
    default:
      return findLocal(store, reference, options);
  }
}

async function findByUrl(store: Store, url: string, options: ResolveOptions): Promise<StoredImage> {
  if (!canFetch(options))
    throw new ImageError('not-found', `image ${url} is not on this machine; fetch it first`);
  const { fetchAci } = await import('./fetch-aci.ts');
  const remote = {
    url,
    signatureUrl: url.replace(/\.aci(?=$|[?#])/, '.aci.asc'),
    plainHttp: true,
    accept: () => {},
    latest: false,
  };
  return fetchAci(store, remote, options);
}

async function findLocal(
  store: Store,
  reference: LocalReference,
  options: ResolveOptions,
): Promise<StoredImage> {
  const { path } = reference;
  checkReachable(path);
  if (!options.insecure.image) return findVerified(store, reference, options);
  options.warn(`image ${path} is taken unverified (--insecure-options=image)`);
  const tag = reference.kind === 'file' ? undefined : reference.tag;
  const known = cachedFile(store, path, tag) ?? cachedFile(store, join(path, 'index.json'), tag);
  // Whoever asks for something newer means this image by its name from now on.
  if (known && options.pullPolicy !== 'update') return known;
  const { importLocal } = await import('./import-local.ts');
  return importLocal(store, reference, options.warn);
}

/** An ACI is vouched for by its signature, other images by policy and keys. */
async function findVerified(
  store: Store,
  reference: LocalReference,
  options: ResolveOptions,
): Promise<StoredImage> {
  const { holdsAci, importLocal } = await import('./import-local.ts');
  const { kind, path } = reference;
  if (kind === 'file' && (await holdsAci(path)))
    return (await import('./signed-file.ts')).findSigned(store, path, options);
  const { verifyLocal } = options;
  if (!verifyLocal) throw (await import('./signature.ts')).unverifiable(path);
  return importLocal(store, reference, options.warn, verifyLocal);
}

function checkReachable(path: string): void {
  try {
    statSync(path);
  } catch (error) {
    throw new ImageError('not-found', `cannot read image ${path}: ${reason(error)}`, error);
  }
}
