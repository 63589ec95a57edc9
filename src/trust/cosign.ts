import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { TrustError } from './error.ts';
import { type Claim, readClaim } from './payload.ts';
import type { CosignSignature } from './types.ts';

const signatureAnnotation = 'dev.cosignproject.cosign/signature';

/** The public half of a cosign key pair. */
export interface CosignKey {
  /** Names the key in messages. */
  readonly what: string;
  readonly key: KeyObject;
}

/** Reads `cosign.pub`: ECDSA over P-256, PEM. Throws TrustError `bad-key`. */
export function readCosignKey(bytes: Uint8Array, what: string): CosignKey {
  const wrong = (why: string, cause?: unknown) =>
    new TrustError('bad-key', `cannot read cosign key ${what}: ${why}`, cause);
  const text = Buffer.from(bytes).toString('latin1');
  if (!/^\s*-----BEGIN PUBLIC KEY-----/.test(text)) throw wrong('it is no public key in PEM form');
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch (error) {
    throw wrong('it is damaged', error);
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw wrong('it is not of the kind that cosign generate-key-pair makes, ECDSA over P-256');
  return { what, key };
}

/**
 * What a cosign signature claims, once it is found to be by one of the keys (cosign: "Signature
 * Specification").
 *
 * @param what names the signature in messages
 * @throws TrustError `bad-signature`, `unknown-signer`
 */
export function openCosign(
  { payload, annotations }: CosignSignature,
  keys: readonly CosignKey[],
  what: string,
): Claim & { signer: string } {
  const signature = Buffer.from(annotations[signatureAnnotation] ?? '', 'base64');
  if (signature.length === 0)
    throw new TrustError('bad-signature', `${what} has no annotation ${signatureAnnotation}`);
  const signer = keys.find(({ key }) => verify('sha256', payload, key, signature));
  if (!signer)
    throw new TrustError(
      'unknown-signer',
      `${what} is not by ${keys.map((one) => one.what).join(' or ')}`,
    );
  return {
    ...readClaim(payload, 'cosign container image signature', what),
    signer: `cosign key ${signer.what}`,
  };
}
