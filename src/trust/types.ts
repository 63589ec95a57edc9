import type { ConfigRoots } from '../config/types.ts';
import type { HttpClient } from '../http/client.ts';

/** The configuration folders that hold `trustedkeys`, `policy.json` and `registries.d`: SYS, LOCAL. */
export type TrustRoots = Pick<ConfigRoots, 'system' | 'local'>;

/** A Docker or OCI image as the user means it. */
export type ManifestSource =
  | {
      readonly transport: 'docker';
      /** Host, with `:port` when given; Docker Hub under any of its names. */
      readonly registry: string;
      readonly repository: string;
      readonly tag?: string;
      /** `algorithm:hex` */
      readonly digest?: string;
    }
  | {
      readonly transport: 'oci' | 'oci-archive' | 'docker-archive';
      /** Absolute. */
      readonly path: string;
      /** What it is called there: `TAG`, or a whole `NAME:TAG`. */
      readonly tag?: string;
    };

/** A signature as cosign stores it in the image's repository. Nothing of it is verified yet. */
export interface CosignSignature {
  /** The simple signing document that is signed. */
  readonly payload: Uint8Array;
  /** `dev.cosignproject.cosign/signature` is the signature, base64. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ManifestToVerify {
  readonly source: ManifestSource;
  /**
   * The bytes of the manifest that the reference leads to and, when that is an index, of the one
   * chosen from it: a signature over either will do, as each pins the next by its digest.
   */
  readonly manifests: readonly Uint8Array[];
  /** What cosign stored for a manifest (`sha256:HEX`); absent for what comes from no registry. */
  readonly cosignSignatures?: (digest: string) => Promise<readonly CosignSignature[]>;
}

export interface VerifiedManifest {
  /** What let the image pass. `policy`: insecureAcceptAnything, nothing was checked. */
  readonly by: readonly ('policy' | 'simple-signing' | 'cosign')[];
  /** A line for each signer. */
  readonly signers: readonly string[];
}

/**
 * Checks a Docker or OCI image against policy.json and the cosign keys of the keyring; whatever of
 * both applies to it must hold.
 *
 * @returns undefined when neither says anything: it is then for `--insecure-options=image` to decide
 * @throws TrustError `rejected`, `bad-policy`, and as for keys and signatures
 */
export type VerifyManifest = (image: ManifestToVerify) => Promise<VerifiedManifest | undefined>;

/** What a verifier of manifests works with. */
export interface ManifestTrust {
  readonly roots: TrustRoots;
  /** For a lookaside by https. */
  readonly http: HttpClient;
}

/** Where a discovered key can be had, and for which prefix of names. */
export interface DiscoveredKey {
  readonly prefix: string;
  readonly url: string;
}

/** The user at a terminal. */
export interface Dialog {
  /** False: nobody can be asked. */
  readonly terminal: boolean;
  /** A line of the user; undefined when there is no more. */
  ask(question: string): Promise<string | undefined>;
}
