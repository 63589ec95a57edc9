import { TrustError } from './error.ts';
import type { ManifestToVerify, ManifestTrust } from './types.ts';
import { manifestVerifier } from './verify-manifest.ts';

/** An image of a registry before its config and layers are fetched. */
export interface RegistryImage {
  readonly reference: {
    readonly registry: string;
    readonly repository: string;
    readonly tag?: string;
    readonly digest?: string;
  };
  /** Of the manifest of the one image that will run. */
  readonly manifestBytes: Uint8Array;
  /** The index that the reference names, when it is one. */
  readonly index?: { readonly bytes: Uint8Array };
  readonly fetchSignatures: NonNullable<ManifestToVerify['cosignSignatures']>;
}

/**
 * The hook for images of registries: refuses what nobody vouches for.
 *
 * @param info gets a line on who signed an image
 * @returns a function that throws as VerifyManifest does, and TrustError `rejected` where neither
 * policy nor keys say anything
 */
export function registryVerifier(trust: ManifestTrust, info?: (line: string) => void) {
  const verify = manifestVerifier(trust);
  return async (image: RegistryImage): Promise<void> => {
    const { reference, manifestBytes, index, fetchSignatures } = image;
    const verified = await verify({
      source: { transport: 'docker', ...reference },
      manifests: [...(index ? [index.bytes] : []), manifestBytes],
      cosignSignatures: fetchSignatures,
    });
    const where = `docker://${reference.registry}/${reference.repository}`;
    if (!verified)
      throw new TrustError(
        'rejected',
        `cannot verify ${where}: there is no policy.json, and no cosign.pub for the name in trustedkeys (try --insecure-options=image)`,
      );
    if (verified.signers.length > 0) info?.(`${where} is signed by ${verified.signers.join(', ')}`);
  };
}
