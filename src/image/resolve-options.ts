import type { Config } from '../config/index.ts';
import type { HttpClient } from '../http/client.ts';
import type { ProgressDisplay } from '../http/download.ts';
import type { DockerReference } from './docker-reference.ts';
import { ImageError } from './error.ts';
import type { VerifyLocal } from './local-image.ts';
import type { VerifyManifest } from './registry/fetch-docker.ts';

export const pullPolicies = ['new', 'never', 'update'] as const;
/** When the network is asked: for what is missing, never, or always for something newer. */
export type PullPolicy = (typeof pullPolicies)[number];

/**
 * Checks the detached signature (a file) of an ACI as it was received against the keys that are
 * trusted for `name`, or for the name in the ACI's manifest, which it returns. Throws when they do not
 * vouch for it.
 */
export type VerifyAci = (signed: {
  readonly file: string;
  /** What messages call the image: where it came from. */
  readonly where: string;
  readonly signature: string;
  readonly name: string | undefined;
}) => Promise<{ readonly signers: readonly string[]; readonly name: string }>;

export interface ResolveOptions {
  readonly pullPolicy: PullPolicy;
  /** `image`: take images that nobody verified. */
  readonly insecure: { readonly image: boolean };
  /** Gets warnings for the user's stderr. */
  readonly warn: (line: string) => void;
  /** Gets what is good to know. */
  readonly info?: (line: string) => void;
  /** Asks servers; without it only what is on this machine is found, without its dependencies. */
  readonly client?: HttpClient;
  readonly progress?: ProgressDisplay;
  /** Without it no ACI passes as verified. */
  readonly verify?: VerifyAci;
  /** The file with the signature of the image, instead of the one beside it. */
  readonly signature?: string;
  /** Credentials by registry, before those that docker and podman keep. */
  readonly dockerAuth?: Config['dockerAuth'];
  /** Without it no image of a registry passes as verified. */
  readonly verifyManifest?: VerifyManifest;
  /** Throws, before a registry is asked, when nothing could vouch for an image of that name. */
  readonly checkSource?: (reference: DockerReference) => Promise<void>;
  /** Without it no image of a layout or archive passes as verified. */
  readonly verifyLocal?: VerifyLocal;
}

/** The options with which something can be fetched. */
export type FetchOptions = ResolveOptions & { readonly client: HttpClient };

/** Checks the value of `--pull-policy`. Throws ImageError `bad-reference`. */
export function parsePullPolicy(text: string): PullPolicy {
  const found = pullPolicies.find((policy) => policy === text);
  if (found) return found;
  throw new ImageError(
    'bad-reference',
    `bad pull policy ${JSON.stringify(text)}, must be one of ${pullPolicies.join(', ')}`,
  );
}

/** Whether images may be fetched with these options, or only be found in the store. */
export function canFetch(options: ResolveOptions): options is FetchOptions {
  return options.client !== undefined;
}
