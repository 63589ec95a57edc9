import { HttpError } from '../../http/error.ts';
import { parseManifest } from '../oci-schema.ts';
import type { Registry } from './registry.ts';

/** A signature as cosign stores it beside an image (cosign: "Signature Specification"). */
export interface StoredSignature {
  /** What is signed: a simple signing document that names a manifest's digest. */
  readonly payload: Buffer;
  /** `dev.cosignproject.cosign/signature` is the signature, base64. */
  readonly annotations: Readonly<Record<string, string>>;
}

export const payloadType = 'application/vnd.dev.cosign.simplesigning.v1+json';

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
  const { layers } = parseManifest(document.bytes, `signatures ${tag} of ${where}`);
  const found: StoredSignature[] = [];
  for (const layer of layers)
    if (layer.mediaType === payloadType)
      found.push({
        payload: await registry.blob(layer, 'signature'),
        annotations: layer.annotations,
      });
  return found;
}
