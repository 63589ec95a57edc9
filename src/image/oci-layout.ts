import { join } from 'node:path';
import { type ByteRange, checkSize, readDocument, streamRange, wholeFile } from './byte-range.ts';
import { ImageError } from './error.ts';
import type { FoundImage } from './local-image.ts';
import { type OciManifest, parseLayout, parseManifest } from './oci-schema.ts';
import {
  type BlobSource,
  type Candidate,
  chooseManifest,
  findBlob,
  readBlob,
} from './oci-select.ts';
import { layoutSignatures } from './oci-signatures.ts';

export const manifestTypes: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]);
export const configTypes = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]);
/** Compression is told by the bytes, so that a wrong suffix, which some tools write, does no harm. */
const layerType =
  /^application\/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?)$/;

/**
 * Finds an image in an OCI layout (image-spec: image-layout.md).
 *
 * @param find the bytes of a file of the layout, by its path there
 * @throws ImageError `bad-image`, `bad-manifest`, `not-found`, `ambiguous`, `mismatch`, `unsupported`
 */
export function findInLayout(
  scheme: 'oci' | 'oci-archive',
  where: string,
  find: (name: string) => ByteRange | undefined,
  tag?: string,
): FoundImage {
  const required = (name: string): ByteRange => {
    const range = find(name);
    if (!range)
      throw new ImageError('bad-image', `${where} is no OCI image layout: no ${name} in it`);
    return range;
  };
  const what = `oci-layout of ${where}`;
  parseLayout(readDocument(required('oci-layout'), what), what);
  const source: BlobSource = {
    where,
    index: required('index.json'),
    find: (digest) => find(`blobs/${digest.replace(':', '/')}`),
  };
  const candidate = chooseManifest(source, tag);
  const { tag: found } = candidate;
  return {
    ...readImage(source, candidate),
    transport: scheme,
    signatures: (digest) => layoutSignatures(source, digest),
    reference: `${scheme}:${where}${found === undefined ? '' : `:${found}`}`,
    ...(found !== undefined && { tag: found }),
  };
}

function readImage(
  source: BlobSource,
  { descriptor, index }: Candidate,
): Omit<FoundImage, 'reference' | 'tag' | 'transport' | 'signatures'> {
  const { where } = source;
  checkManifestType(descriptor.mediaType, where);
  const what = `image manifest ${descriptor.digest} of ${where}`;
  const bytes = readBlob(source, descriptor, 'image manifest');
  const manifest = parseManifest(bytes, what);
  const { config, layers } = manifest;
  checkPartTypes(manifest, where);
  return {
    where,
    manifests: [...(index ? [readBlob(source, index, 'image index')] : []), bytes],
    manifestDigest: descriptor.digest,
    config: readBlob(source, config, 'image config'),
    configDigest: config.digest,
    layers: layers.map((layer, n) => {
      const range = findBlob(source, layer, 'layer');
      checkSize(range, layer, `layer ${layer.digest} of ${where}`);
      return {
        name: `layer ${n + 1} (${layer.digest}) of ${where}`,
        open: () => streamRange(range),
        digest: layer.digest,
        size: layer.size,
      };
    }),
  };
}

/** Throws ImageError `unsupported` for a manifest of another media type than images have. */
export function checkManifestType(mediaType: string, where: string): void {
  supported(manifestTypes.has(mediaType), 'manifest', mediaType, where);
}

/** Throws ImageError `unsupported` when config or layers are not those of a container image. */
export function checkPartTypes({ config, layers }: OciManifest, where: string): void {
  supported(configTypes.has(config.mediaType), 'config', config.mediaType, where);
  for (const { mediaType } of layers)
    supported(layerType.test(mediaType), 'layer', mediaType, where);
}

function supported(known: boolean, what: string, mediaType: string, where: string): void {
  if (!known)
    throw new ImageError(
      'unsupported',
      `${where} is no container image that can be run: its ${what} has media type "${mediaType}"`,
    );
}

/** Finds an image in a layout folder. Throws as findInLayout. */
export function findInLayoutFolder(folder: string, tag?: string): FoundImage {
  return findInLayout('oci', folder, (name) => wholeFile(join(folder, name)), tag);
}
