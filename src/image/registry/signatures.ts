import { HttpError } from '../../http/error.ts';
import { ImageError } from '../error.ts';
import { type OciManifest, parseManifest } from '../oci-schema.ts';
import type { Registry } from './registry.ts';

/** A signature as cosign stores it beside an image (cosign: "Signature Specification"). */
export interface StoredSignature {
  /** What is signed: a simple signing document that names a manifest's digest. */
  readonly payload: Buffer;
  /** `dev.cosignproject.cosign/signature` is the signature, base64. */
  readonly annotations: Readonly<Record<string, string>>;
}

const payloadType = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** More of them, or longer ones, serve no purpose but to fill the memory. */
const [maxSignatures, maxPayload] = [1000, 64 * 1024];

/**
 * The layers of cosign's that are signatures. Throws ImageError `bad-image` for more than 1000.
 *
 * @param what says whose they are
 * @param before how many there are already
 */
export function signatureLayers(
  { layers }: OciManifest,
  what: string,
  before = 0,
): readonly OciManifest['layers'][number][] {
  const found = layers.filter(({ mediaType }) => mediaType === payloadType);
  if (before + found.length > maxSignatures)
    throw new ImageError('bad-image', `there are more than ${maxSignatures} ${what}`);
  const long = found.find(({ size }) => size > maxPayload);
  if (long)
    throw new ImageError(
      'bad-image',
      `one of the ${what} is over a document of ${long.size} bytes, more than ${maxPayload}`,
    );
  return found;
}

/** The signatures that the registry has for a manifest; nothing is verified here but their digests. */
export async function fetchSignatures(
  registry: Registry,
  digest: string,
  where: string,
): Promise<StoredSignature[]> {
  const tag = `${digest.replace(':', '-')}.sig`;
  const document = await registry.manifest(tag).catch((error: unknown) => {
    if (error instanceof HttpError && error.status === 404) return undefined;
    throw error;
  });
  if (!document) return [];
  const what = `signatures ${tag} of ${where}`;
  const found: StoredSignature[] = [];
  for (const layer of signatureLayers(parseManifest(document.bytes, what), what))
    found.push({
      payload: await registry.blob(layer, 'signature'),
      annotations: layer.annotations,
    });
  return found;
}
