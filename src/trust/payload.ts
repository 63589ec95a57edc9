import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { type DockerName, dockerNameText, parseDockerName } from './docker-name.ts';
import { TrustError } from './error.ts';
import type { SignedIdentity } from './policy.ts';
import { parseStrictly } from './strict-json.ts';

/** Simple signing documents: containers-signature(5); cosign has the same with another type. */
const payloadTypes = ['atomic container signature', 'cosign container image signature'] as const;
export type PayloadType = (typeof payloadTypes)[number];

const schema = z.strictObject({
  critical: z.strictObject({
    type: z.enum(payloadTypes),
    image: z.strictObject({ 'docker-manifest-digest': z.string() }),
    identity: z.strictObject({ 'docker-reference': z.string() }),
  }),
  optional: z.nullish(z.record(z.string(), z.unknown())),
});

/** What a signature claims: that this manifest is the image of that name. */
export interface Claim {
  /** `algorithm:hex` */
  readonly digest: string;
  readonly reference: DockerName;
}

/**
 * Reads a document whose signature was found good.
 *
 * @param what names the signature in messages
 * @throws TrustError `bad-signature`
 */
export function readClaim(payload: Uint8Array, type: PayloadType, what: string): Claim {
  const wrong = (why: string, cause?: unknown) =>
    new TrustError('bad-signature', `${what} is over no image: ${why}`, cause);
  let document: z.output<typeof schema>;
  try {
    document = parseStrictly(Buffer.from(payload).toString('utf8'), schema, 'document');
  } catch (error) {
    throw wrong('it does not have the form of a signed claim', error);
  }
  const { critical } = document;
  if (critical.type !== type) throw wrong(`it is of type ${JSON.stringify(critical.type)}`);
  const reference = parseDockerName(critical.identity['docker-reference']);
  if (!reference) throw wrong('it names no image');
  return { digest: critical.image['docker-manifest-digest'], reference };
}

/** `sha256:HEX` of a manifest, as signatures name it. */
export function manifestDigest(manifest: Uint8Array): string {
  return `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
}

/**
 * Whether a signature for `signed` is one for the image that was asked for, as the policy wants them
 * compared (containers-policy.json(5), "signedIdentity").
 *
 * @param asked undefined: the image has no Docker reference
 */
export function identityMatches(
  identity: SignedIdentity,
  signed: DockerName,
  asked: DockerName | undefined,
): boolean {
  const exactly = (wanted: DockerName | undefined) =>
    isPinned(signed) && wanted !== undefined && dockerNameText(signed) === dockerNameText(wanted);
  switch (identity.type) {
    case 'matchExact':
      return exactly(asked);
    case 'matchRepoDigestOrExact':
      return asked?.digest === undefined
        ? exactly(asked)
        : isPinned(signed) && signed.name === asked.name;
    case 'matchRepository':
      return signed.name === asked?.name;
    case 'exactReference':
      return exactly(parseDockerName(identity.dockerReference));
    case 'exactRepository':
      return signed.name === parseDockerName(identity.dockerRepository)?.name;
  }
}

function isPinned({ tag, digest }: DockerName): boolean {
  return tag !== undefined || digest !== undefined;
}
