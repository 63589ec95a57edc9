import { labelValue } from '../../appc/platform.ts';
import { type DockerReference, storedName } from '../docker-reference.ts';
import { ImageError } from '../error.ts';
import { type LocalImage, storeLocalImage } from '../local-image.ts';
import { checkManifestType, checkPartTypes } from '../oci-layout.ts';
import { type OciManifest, parseConfig, parseManifest } from '../oci-schema.ts';
import { nameAgain, whileImporting } from '../publish.ts';
import { type RemoteRecord, readRemote, writeRemote } from '../remote-record.ts';
import type { FetchOptions } from '../resolve-options.ts';
import type { Store, StoredImage } from '../store.ts';
import { type ChosenImage, chooseImage, typeOf } from './choose.ts';
import { findCredentials } from './credentials.ts';
import { fetchLayers } from './layers.ts';
import { type Document, Registry } from './registry.ts';
import { fetchSignatures, type StoredSignature } from './signatures.ts';

/**
 * Decides whether an image may be used, before its config and layers are fetched. Throws ImageError
 * `untrusted` to refuse it.
 */
export type VerifyManifest = (image: {
  readonly reference: DockerReference;
  /** Of the manifest of the one image that will run. */
  readonly digest: string;
  readonly manifestBytes: Buffer;
  /** The index that the reference names, when it is one; it pins the manifest. */
  readonly index?: Pick<Document, 'digest' | 'bytes'>;
  /** What cosign stored for a digest; none verified. */
  readonly fetchSignatures: (digest: string) => Promise<readonly StoredSignature[]>;
}) => Promise<void>;

/**
 * The image of a registry: what is stored of it as far as the pull policy allows and the registry
 * still has the same, else fetched. Layers that are in the store are not fetched again.
 *
 * @throws ImageError, HttpError, ConfigError; nothing is added to the store then
 */
export async function fetchDocker(
  store: Store,
  reference: DockerReference,
  options: FetchOptions,
): Promise<StoredImage> {
  const { client, pullPolicy, insecure, verifyManifest } = options;
  const where = `docker://${nameOf(reference)}`;
  const known = readRemote(store, where);
  const found = known?.image ?? findImported(store, reference);
  if (found && pullPolicy !== 'update') return found;
  if (pullPolicy === 'never')
    throw new ImageError(
      'not-found',
      `image ${where} is not in the store, and the pull policy "never" forbids to fetch it`,
    );
  if (!insecure.image && !verifyManifest)
    throw new ImageError(
      'untrusted',
      `cannot fetch ${where}: signature verification for docker images is not supported (try --insecure-options=image)`,
    );
  if (!insecure.image) await options.checkSource?.(reference);

  const registry = new Registry({
    client,
    reference,
    where,
    findCredentials: () => findCredentials(reference, options.dockerAuth ?? new Map()),
  });
  const usable = known && (insecure.image || known.record.verified) ? known : undefined;
  if (usable && (await isCurrent(registry, reference, usable.record))) {
    writeRemote(store, { ...usable.record, askedAt: Date.now() });
    const { tag, digest } = reference;
    const name = { name: storedName(reference), ...(tag !== undefined && { version: tag }) };
    nameAgain(store, usable.image, digest === undefined && tag === 'latest', name);
    return usable.image;
  }
  const named = await registry.manifest(reference.digest ?? reference.tag ?? 'latest');
  const chosen = await chooseImage(registry, named, where);
  await verify(registry, reference, where, chosen, options);
  const image = await fetchImage(store, registry, where, chosen.manifest, options);
  writeRemote(store, {
    url: where,
    key: image.key,
    etag: named.digest,
    askedAt: Date.now(),
    maxAge: 0,
    verified: !insecure.image,
  });
  return image;
}

/** The image of that name that came out of a layout or archive. */
function findImported(store: Store, reference: DockerReference): StoredImage | undefined {
  const { registry, repository, tag, digest } = reference;
  const wanted = {
    registryurl: registry,
    repository,
    ...(digest && { manifesthash: digest }),
  };
  // The annotations say by what tag it came first, its names by which ones it came since.
  const labels = digest === undefined ? [{ name: 'version', value: tag ?? 'latest' }] : [];
  return store
    .findByName(storedName(reference), labels)
    .find(({ manifest }) =>
      Object.entries(wanted).every(
        ([name, value]) => labelValue(manifest.annotations, `appc.io/docker/${name}`) === value,
      ),
    );
}

/** `REGISTRY/REPOSITORY[:TAG][@DIGEST]`. */
function nameOf({ registry, repository, tag, digest }: DockerReference): string {
  const version = `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
  return `${registry}/${repository}${version}`;
}

/** Whether a reference still names what was fetched. A digest always does. */
async function isCurrent(
  registry: Registry,
  { tag, digest }: DockerReference,
  { etag }: RemoteRecord,
): Promise<boolean> {
  return digest !== undefined || etag === (await registry.head(tag ?? 'latest'));
}

async function verify(
  registry: Registry,
  reference: DockerReference,
  where: string,
  { manifest, index }: ChosenImage,
  { insecure, verifyManifest, warn }: FetchOptions,
): Promise<void> {
  if (insecure.image) warn(`image ${where} is taken unverified (--insecure-options=image)`);
  else
    await verifyManifest?.({
      reference,
      digest: manifest.digest,
      manifestBytes: manifest.bytes,
      ...(index && { index }),
      fetchSignatures: (digest) => fetchSignatures(registry, digest, where),
    });
}

async function fetchImage(
  store: Store,
  registry: Registry,
  where: string,
  document: Document,
  options: FetchOptions,
): Promise<StoredImage> {
  checkManifestType(typeOf(document, where), where);
  const what = `image manifest ${document.digest} of ${where}`;
  const manifest = parseManifest(document.bytes, what);
  checkParts(manifest, where);
  const config = await registry.blob(manifest.config, 'image config');
  const image: LocalImage = {
    where,
    reference: where,
    tag: where.slice('docker://'.length),
    config,
    configDigest: manifest.config.digest,
    manifestDigest: document.digest,
    layers: manifest.layers.map(({ digest, size }) => ({
      name: `layer ${digest} of ${where}`,
      digest,
      size,
      open() {
        throw new ImageError('not-found', 'its tree was removed meanwhile, fetch it again');
      },
    })),
  };
  return whileImporting(store, async () => {
    await fetchLayers(store, registry, withDiffIds(image, manifest), { ...options, where });
    return storeLocalImage(store, image, options.warn);
  });
}

function checkParts(manifest: OciManifest, where: string): void {
  checkPartTypes(manifest, where);
  for (const { digest, mediaType } of manifest.layers)
    if (/foreign|nondistributable/.test(mediaType))
      throw new ImageError(
        'unsupported',
        `layer ${digest} of ${where} is not in the registry but at a place of its own ("${mediaType}"), which is not supported`,
      );
}

/** The layers with what the config says of each. Throws ImageError `bad-image`, `bad-manifest`. */
function withDiffIds(
  { config, configDigest, where }: LocalImage,
  { layers }: OciManifest,
): { descriptor: OciManifest['layers'][number]; diffId: string }[] {
  const diffIds = parseConfig(config, `image config ${configDigest} of ${where}`).rootfs.diff_ids;
  if (diffIds.length !== layers.length)
    throw new ImageError(
      'bad-image',
      `${where} has ${layers.length} layers, but its config names ${diffIds.length}`,
    );
  return layers.flatMap((descriptor, n) => {
    const diffId = diffIds[n];
    return diffId === undefined ? [] : { descriptor, diffId };
  });
}
