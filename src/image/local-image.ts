import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { sanitizeACIdentifier } from '../appc/names.ts';
import type { NameValue } from '../appc/types.ts';
import { type DockerReference, parseDockerReference, storedName } from './docker-reference.ts';
import { ImageError } from './error.ts';
import { stackLayers } from './folder-layer.ts';
import { importLayer, type LayerInput } from './layer.ts';
import { imageManifestOf, type OciOrigin } from './oci-config.ts';
import { parseConfig } from './oci-schema.ts';
import { addImage, whileImporting } from './publish.ts';
import type { StoredSignature } from './registry/signatures.ts';
import type { Store, StoredImage } from './store.ts';

/** An image found in a layout or archive: its config is verified, its layers are still to be. */
export interface LocalImage {
  /** The path it was found at. */
  readonly where: string;
  /** The canonical reference, such as `oci:/srv/layout:v1`. */
  readonly reference: string;
  /** Its `TAG` or `NAME:TAG` there. */
  readonly tag?: string;
  readonly config: Buffer;
  readonly configDigest: string;
  readonly manifestDigest?: string;
  /** Bottom first, without their diff ids. */
  readonly layers: readonly LayerInput[];
}

/** An image of a layout or archive, with what can vouch for it. */
export interface FoundImage extends LocalImage {
  readonly transport: 'oci' | 'oci-archive' | 'docker-archive';
  /**
   * The bytes of its manifest, after those of the index that it was chosen from, if any: that pins
   * it. An archive of `docker save` has none.
   */
  readonly manifests: readonly Buffer[];
  /**
   * What cosign stored in the layout for the manifest of this digest, with what does not say for which
   * it is; not verified.
   */
  readonly signatures: (digest: string) => readonly StoredSignature[];
}

/** Decides whether an image of a layout or archive may be used. Throws to refuse it. */
export type VerifyLocal = (
  image: Pick<FoundImage, 'transport' | 'where' | 'tag' | 'manifests' | 'signatures'>,
) => Promise<void>;

/**
 * Brings an OCI or Docker image into the store: config to manifest, then each layer, checked against
 * the diff ids of the config, then the image under the hash of its config.
 *
 * @param warn gets a line for whatever of the config appc cannot express
 * @throws ImageError
 */
export function storeLocalImage(
  store: Store,
  image: LocalImage,
  warn: (line: string) => void,
): Promise<StoredImage> {
  return whileImporting(store, () => importImage(store, image, warn));
}

async function importImage(
  store: Store,
  image: LocalImage,
  warn: (line: string) => void,
): Promise<StoredImage> {
  const config = parseConfig(image.config, `image config ${image.configDigest} of ${image.where}`);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== image.layers.length)
    throw new ImageError(
      'bad-image',
      `${image.where} has ${image.layers.length} layers, but its config names ${diffIds.length}`,
    );
  if (diffIds.length === 0)
    throw new ImageError('bad-image', `${image.where} has no layers, so there is nothing to run`);
  const { manifest, warnings } = imageManifestOf(config, originOf(image));

  const key = `sha512-${createHash('sha512').update(image.config).digest('hex').slice(0, 64)}`;
  const layers: string[] = [];
  for (const [n, layer] of image.layers.entries()) {
    const diffId = diffIds[n];
    layers.push(
      await importLayer(store, { ...layer, warn, ...(diffId !== undefined && { diffId }) }),
    );
  }
  // Overlayfs takes no folder twice; of a layer that comes again only the upper place shows.
  const stack = await stackLayers(
    store,
    layers.filter((id, n) => layers.lastIndexOf(id) === n),
  );
  const stored = addImage(store, {
    key,
    manifest,
    layers: stack,
    config: image.config,
    source: { reference: image.reference, latest: isLatest(image.tag) },
  });
  for (const warning of warnings) warn(`${image.where}: ${warning}`);
  return stored;
}

/**
 * Name and version: those of the tag when it is a whole `NAME:TAG`, else the path's last part and
 * the tag.
 */
function originOf(image: LocalImage): OciOrigin {
  const named = image.tag === undefined ? undefined : wholeName(image.tag);
  const version = named ? named.tag : image.tag;
  const file = basename(image.where).replace(/\.(tar(\.\w+)?|tgz|oci)$/, '');
  const known: (NameValue | undefined)[] = [
    { name: 'originalname', value: image.tag ?? file },
    named && { name: 'registryurl', value: named.registry },
    named && { name: 'repository', value: named.repository },
    version === undefined ? undefined : { name: 'tag', value: version },
    { name: 'imageid', value: image.configDigest },
    image.manifestDigest === undefined
      ? undefined
      : { name: 'manifesthash', value: image.manifestDigest },
  ];
  return {
    where: image.where,
    name: named ? storedName(named) : sanitizeACIdentifier(file),
    ...(version !== undefined && { version }),
    annotations: known
      .filter((annotation) => annotation !== undefined)
      .map(({ name, value }) => ({ name: `appc.io/docker/${name}`, value })),
  };
}

/** Whether a tag, or none, is what "latest" is now; a digest never is. */
function isLatest(tag: string | undefined): boolean {
  if (tag === undefined) return true;
  const named = wholeName(tag);
  return named ? named.digest === undefined && named.tag === 'latest' : tag === 'latest';
}

/** The tag as a whole name; a mere tag, or what is no Docker reference, gives undefined. */
function wholeName(tag: string): DockerReference | undefined {
  if (!/[/:]/.test(tag)) return undefined;
  try {
    return parseDockerReference(tag);
  } catch {
    return undefined;
  }
}
