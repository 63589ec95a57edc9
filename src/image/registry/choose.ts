import * as z from 'zod/mini';
import { AppcError } from '../../appc/error.ts';
import { parseJson } from '../../appc/json.ts';
import { object, text, validate } from '../../appc/schema.ts';
import { ImageError } from '../error.ts';
import { manifestTypes } from '../oci-layout.ts';
import { type Descriptor, parseIndex } from '../oci-schema.ts';
import { chooseForHost, IndexLimits, indexTypes } from '../oci-select.ts';
import type { Document, Registry } from './registry.ts';

const outline = object({
  schemaVersion: z.number(),
  mediaType: z.optional(text),
  manifests: z.optional(z.unknown()),
  layers: z.optional(z.unknown()),
});

/** The manifest of one image, and the index that a reference named, if it was one. */
export interface ChosenImage {
  readonly manifest: Document;
  readonly index?: Document;
}

/**
 * The image behind what a reference names: itself, or of an index (and those in it) the one for this
 * host.
 *
 * @throws HttpError, ImageError `not-found`, `ambiguous`, `mismatch`, `bad-manifest`, `unsupported`
 */
export async function chooseImage(
  registry: Registry,
  named: Document,
  where: string,
): Promise<ChosenImage> {
  if (!indexTypes.has(typeOf(named, where))) return { manifest: named };
  const candidates = await findImages(registry, named, where);
  if (candidates.length === 0)
    throw new ImageError('not-found', `no image in ${where}: it is empty`);
  const [only] = candidates;
  const chosen =
    only && candidates.length === 1
      ? only
      : chooseForHost(
          candidates.map((descriptor) => ({ descriptor })),
          where,
          'give one by "@" and its digest',
        ).descriptor;
  const manifest = await fetchChild(registry, chosen, where);
  return { manifest, index: named };
}

/** The images of an index and of the indexes in it, each once. */
async function findImages(
  registry: Registry,
  index: Document,
  where: string,
): Promise<Descriptor[]> {
  const listed = (document: Document) =>
    parseIndex(document.bytes, `image index ${document.digest} of ${where}`).manifests;
  const queue = [...listed(index)];
  const found: Descriptor[] = [];
  const seen = new Set<string>();
  const limits = new IndexLimits(where);
  limits.addIndex(index.bytes.length);
  for (const descriptor of queue) {
    if (seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    if (!indexTypes.has(descriptor.mediaType)) {
      found.push(descriptor);
      limits.checkImages(found.length);
      continue;
    }
    limits.addIndex(descriptor.size);
    queue.push(...listed(await fetchChild(registry, descriptor, where)));
  }
  return found;
}

/** What a descriptor of an index names, which must be what it says. */
async function fetchChild(
  registry: Registry,
  { digest, size, mediaType }: Descriptor,
  where: string,
): Promise<Document> {
  const document = await registry.manifest(digest);
  if (document.bytes.length !== size)
    throw new ImageError(
      'mismatch',
      `manifest ${digest} of ${where} has ${document.bytes.length} bytes, not ${size}`,
    );
  const child = { ...document, mediaType };
  typeOf(child, where);
  return child;
}

/**
 * What a document is. One that could be read as two things is refused, since what is verified must be
 * what is run (CVE-2021-41190).
 *
 * @throws ImageError `unsupported` for Docker's schema 1, `bad-manifest`
 */
export function typeOf({ bytes, digest, mediaType }: Document, where: string): string {
  const what = `manifest ${digest} of ${where}`;
  const found = readOutline(bytes, what);
  if (found.schemaVersion === 1)
    throw new ImageError(
      'unsupported',
      `${what} has Docker's schema 1, which is not supported since its content cannot be checked; push the image again with a tool of today`,
    );
  const known = indexTypes.has(mediaType) || manifestTypes.has(mediaType);
  const type = known ? mediaType : (found.mediaType ?? mediaType);
  if (found.mediaType !== undefined && found.mediaType !== type)
    throw new ImageError(
      'bad-manifest',
      `bad ${what}: it calls itself "${found.mediaType}", but the registry calls it "${type}"`,
    );
  if (found.manifests !== undefined && found.layers !== undefined)
    throw new ImageError('bad-manifest', `bad ${what}: it is both an index and an image`);
  return type;
}

function readOutline(bytes: Buffer, what: string): z.infer<typeof outline> {
  try {
    return validate(outline, parseJson(bytes.toString('utf8'), what), what);
  } catch (error) {
    if (!(error instanceof AppcError)) throw error;
    throw new ImageError('bad-manifest', error.message, error);
  }
}
