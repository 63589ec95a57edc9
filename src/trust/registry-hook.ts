import type { CosignSignature, ManifestToVerify, ManifestTrust } from './types.ts';
import { describe, manifestVerifier, sourceChecker, undecided } from './verify-manifest.ts';

interface Reference {
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** An image of a registry before its config and layers are fetched. */
export interface RegistryImage {
  readonly reference: Reference;
  /** Of the manifest of the one image that will run. */
  readonly manifestBytes: Uint8Array;
  /** The index that the reference names, when it is one. */
  readonly index?: { readonly bytes: Uint8Array };
  readonly fetchSignatures: NonNullable<ManifestToVerify['cosignSignatures']>;
}

/** An image of a layout or archive before its layers are read. */
export interface LocalImage {
  readonly transport: 'oci' | 'oci-archive' | 'docker-archive';
  readonly where: string;
  readonly tag?: string;
  readonly manifests: readonly Uint8Array[];
  readonly signatures: (digest: string) => readonly CosignSignature[];
}

/** Gets a line on who signed an image. */
type Info = (line: string) => void;

/**
 * The hook for images of registries: refuses what nobody vouches for.
 *
 * @returns a function that throws as VerifyManifest does, and TrustError `rejected` where neither
 * policy nor keys say anything
 */
export function registryVerifier(trust: ManifestTrust, info?: Info) {
  const verify = strictVerifier(trust, info);
  return ({ reference, manifestBytes, index, fetchSignatures }: RegistryImage): Promise<void> =>
    verify({
      source: { transport: 'docker', ...reference },
      manifests: [...(index ? [index.bytes] : []), manifestBytes],
      cosignSignatures: fetchSignatures,
    });
}

/** The same for layouts and archives on this machine. */
export function localVerifier(trust: ManifestTrust, info?: Info) {
  const verify = strictVerifier(trust, info);
  return ({ transport, where, tag, manifests, signatures }: LocalImage): Promise<void> =>
    verify({
      source: { transport, path: where, ...(tag !== undefined && { tag }) },
      manifests,
      cosignSignatures: async (digest) => signatures(digest),
    });
}

/** The hook before a registry is asked: throws when nothing could vouch for an image of that name. */
export function registrySourceChecker(trust: ManifestTrust) {
  const check = sourceChecker(trust);
  return (reference: Reference): void => check({ transport: 'docker', ...reference });
}

function strictVerifier(trust: ManifestTrust, info: Info | undefined) {
  const verify = manifestVerifier(trust);
  return async (image: ManifestToVerify): Promise<void> => {
    const verified = await verify(image);
    const { where } = describe(image.source);
    if (!verified) throw undecided(where);
    if (verified.signers.length > 0) info?.(`${where} is signed by ${verified.signers.join(', ')}`);
  };
}
