import { realpathSync } from 'node:fs';
import { type CosignKey, openCosign, readCosignKey } from './cosign.ts';
import { type DockerName, dockerName, dockerNameText, parseDockerName } from './docker-name.ts';
import { TrustError } from './error.ts';
import { cosignKeysFor } from './keystore.ts';
import { lookasideSignatures } from './lookaside.ts';
import { type Claim, identityMatches, manifestDigest } from './payload.ts';
import {
  dockerScopes,
  pathScopes,
  type Requirement,
  readPolicy,
  requirementsFor,
  type SignedIdentity,
} from './policy.ts';
import { keyBytes, openSimpleSigning, signedByKeys } from './simple-signing.ts';
import type {
  ManifestSource,
  ManifestToVerify,
  ManifestTrust,
  VerifiedManifest,
  VerifyManifest,
} from './types.ts';

/** An image with what the policy may call it. */
interface Subject extends ManifestToVerify {
  /** For messages. */
  readonly where: string;
  /** Undefined: it is from no registry. */
  readonly name: DockerName | undefined;
  /** What it will be called, be it that a layout says so: whose cosign keys must have signed it. */
  readonly called: DockerName | undefined;
  readonly scopes: readonly string[];
}

/** A signature that was opened; throws TrustError when it is not by a key that counts. */
type Opened = () => Promise<Claim & { signer: string }> | (Claim & { signer: string });

/** What one requirement found. */
interface Passed {
  readonly by: VerifiedManifest['by'][number];
  readonly signer?: string;
}

/** A function that checks Docker and OCI images: see VerifyManifest. */
export function manifestVerifier(trust: ManifestTrust): VerifyManifest {
  return async (image) => {
    const subject = { ...image, ...describe(image.source) };
    const found = readPolicy(trust.roots);
    const requirements: readonly Requirement[] = found
      ? requirementsFor(found.policy, image.source.transport, subject.scopes)
      : [];
    const passed: Passed[] = [];
    for (const requirement of requirements)
      passed.push(await check(trust, subject, requirement, found?.file ?? ''));
    const keys = keysFor(trust, subject);
    if (keys.length > 0) {
      const read = keys.map(({ path, bytes }) => readCosignKey(bytes, path));
      passed.push(await checkCosign({ ...subject, name: subject.called }, read, byRepository));
    }
    if (passed.length === 0) return undefined;
    return {
      by: [...new Set(passed.map(({ by }) => by))],
      signers: [...new Set(passed.flatMap(({ signer }) => signer ?? []))],
    };
  };
}

/**
 * A function that tells, before anything of an image is fetched, whether policy and keys could let it
 * pass: TrustError `rejected` when the policy rejects it, or neither says anything.
 */
export function sourceChecker(trust: ManifestTrust): (source: ManifestSource) => void {
  return (source) => {
    const subject = describe(source);
    const found = readPolicy(trust.roots);
    if (!found && keysFor(trust, subject).length === 0) throw undecided(subject.where);
    const requirements = found
      ? requirementsFor(found.policy, source.transport, subject.scopes)
      : [];
    if (requirements.some(({ type }) => type === 'reject'))
      throw rejectedBy(subject.where, found?.file ?? '');
  };
}

/** TrustError for an image of which neither policy nor keys say anything. */
export function undecided(where: string): TrustError {
  return new TrustError(
    'rejected',
    `cannot verify ${where}: there is no policy.json, and no cosign.pub for the name in trustedkeys (try --insecure-options=image)`,
  );
}

function rejectedBy(where: string, policy: string): TrustError {
  return new TrustError('rejected', `image ${where} is rejected by the policy ${policy}`);
}

function keysFor({ roots }: ManifestTrust, { called }: Pick<Subject, 'called'>) {
  return called ? cosignKeysFor(roots, called.name) : [];
}

/** Names an image for messages, the policy and the keyring. */
export function describe(
  source: ManifestSource,
): Pick<Subject, 'where' | 'name' | 'called' | 'scopes'> {
  if (source.transport !== 'docker') {
    const path = realPath(source.path);
    const where = `${source.transport}:${source.path}`;
    // The policy's format has no scopes for these archives.
    // An archive of docker save holds no manifest that could be signed; the policy's format has no
    // scopes for it either.
    if (source.transport === 'docker-archive')
      return { where, name: undefined, called: undefined, scopes: [] };
    const called = wholeName(source.tag);
    return { where, name: undefined, called, scopes: pathScopes(path, source.tag) };
  }
  const { registry, repository, tag, digest } = source;
  // The digest decides; what the tag leads to does not matter then.
  const version = digest === undefined ? { tag: tag ?? 'latest' } : { digest };
  const name = { name: dockerName(registry, repository), ...version };
  const text = dockerNameText(name);
  const scopes = dockerScopes(text, name.name);
  return { where: `docker://${text}`, name, called: name, scopes };
}

/** A tag that says more than a version is a whole name. */
function wholeName(tag = ''): DockerName | undefined {
  return /[/:]/.test(tag) ? parseDockerName(tag) : undefined;
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

async function check(
  trust: ManifestTrust,
  subject: Subject,
  requirement: Requirement,
  policy: string,
): Promise<Passed> {
  switch (requirement.type) {
    case 'insecureAcceptAnything':
      return { by: 'policy' };
    case 'reject':
      throw rejectedBy(subject.where, policy);
    case 'signedBy': {
      const keys = await signedByKeys(requirement);
      const matches = matcher(requirement.signedIdentity);
      const { name, scopes, where } = subject;
      const find = async (digest: string): Promise<Opened[]> => {
        const all = name ? await lookasideSignatures(trust, name, digest, scopes) : [];
        return all.map(
          (signature, at) => () =>
            openSimpleSigning(signature, keys, `signature ${at + 1} of ${where}`),
        );
      };
      return { by: 'simple-signing', signer: await firstGood(subject, find, matches) };
    }
    case 'sigstoreSigned': {
      const keys = keyBytes(requirement).map(({ what, bytes }) => readCosignKey(bytes, what));
      return checkCosign(subject, keys, matcher(requirement.signedIdentity));
    }
  }
}

type Matches = (signed: DockerName, asked: DockerName | undefined) => boolean;

function matcher(identity: SignedIdentity = { type: 'matchRepoDigestOrExact' }): Matches {
  return (signed, asked) => identityMatches(identity, signed, asked);
}

/** Cosign signs for a repository; a tag that stands there all the same must be the right one. */
const byRepository: Matches = (signed, asked) =>
  signed.name === asked?.name &&
  (signed.tag === undefined || asked.tag === undefined || signed.tag === asked.tag);

async function checkCosign(
  subject: Subject,
  keys: readonly CosignKey[],
  matches: Matches,
): Promise<Passed> {
  const find = async (digest: string): Promise<Opened[]> =>
    ((await subject.cosignSignatures?.(digest)) ?? []).map(
      (signature, at) => () =>
        openCosign(signature, keys, `cosign signature ${at + 1} of ${subject.where}`),
    );
  return { by: 'cosign', signer: await firstGood(subject, find, matches) };
}

/** The signer of the first signature over one of the manifests that counts. */
async function firstGood(
  { manifests, where, name }: Subject,
  find: (digest: string) => Promise<Opened[]>,
  matches: Matches,
): Promise<string> {
  let failure: TrustError | undefined;
  for (const digest of manifests.map(manifestDigest))
    for (const open of await find(digest))
      try {
        const claim = await open();
        if (claim.digest !== digest)
          throw new TrustError(
            'bad-signature',
            `the signature of ${where} by ${claim.signer} is over ${claim.digest}, not over ${digest}`,
          );
        if (!matches(claim.reference, name))
          throw new TrustError(
            'bad-signature',
            `the signature of ${where} by ${claim.signer} is for ${dockerNameText(claim.reference)}, not for this image`,
          );
        return claim.signer;
      } catch (error) {
        if (!(error instanceof TrustError)) throw error;
        failure ??= error;
      }
  throw failure ?? new TrustError('rejected', `image ${where} is not signed, but must be`);
}
