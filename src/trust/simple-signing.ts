import { readFileSync } from 'node:fs';
import type { PublicKey } from 'openpgp';
import { errorChain } from '../os/error.ts';
import { TrustError } from './error.ts';
import { signatureLimit } from './lookaside.ts';
import { loadOpenPgp, readPublicKeys, signerText } from './openpgp.ts';
import { type Claim, readClaim } from './payload.ts';
import type { KeySource } from './policy.ts';
import { checkUsable, signingKey } from './verify.ts';

/** The bytes of each key file of a requirement, with a name for messages. Throws TrustError `io`. */
export function keyBytes(source: KeySource): { what: string; bytes: Buffer }[] {
  if (source.keyData !== undefined)
    return [{ what: 'in keyData of the policy', bytes: Buffer.from(source.keyData, 'base64') }];
  return [
    ...(source.keyPath === undefined ? [] : [source.keyPath]),
    ...(source.keyPaths ?? []),
  ].map((path) => {
    try {
      return { what: path, bytes: readFileSync(path) };
    } catch (error) {
      throw new TrustError('io', `cannot read key ${path}, which the policy names`, error);
    }
  });
}

/** The OpenPGP keys of a requirement. Throws TrustError `io`, `bad-key`. */
export async function signedByKeys(source: KeySource): Promise<PublicKey[]> {
  const read = keyBytes(source).map(({ what, bytes }) => readPublicKeys(bytes, what));
  return (await Promise.all(read)).flat();
}

/**
 * What a signature claims, once it is found to be by one of the keys (containers-signature(5): an
 * OpenPGP message that holds the signed document).
 *
 * @param what names the signature in messages
 * @throws TrustError `bad-signature`, `unknown-signer`, `unusable-key`
 */
export async function openSimpleSigning(
  signature: Uint8Array,
  keys: readonly PublicKey[],
  what: string,
): Promise<Claim & { signer: string }> {
  const { enums, readMessage, verify } = await loadOpenPgp();
  const config = { maxDecompressedMessageSize: signatureLimit };
  const message = await readMessage({ binaryMessage: signature, config }).catch((error) => {
    throw new TrustError('bad-signature', `${what} is damaged, or no signed message`, error);
  });
  const { data, signatures } = await verify({
    message,
    verificationKeys: [...keys],
    format: 'binary',
    config,
  }).catch((error) => {
    throw new TrustError('bad-signature', `${what} is damaged, or no signed message`, error);
  });
  const [first] = signatures;
  const packet = (await first?.signature)?.packets[0];
  if (!first || !packet || packet.signatureType !== enums.signature.binary)
    throw new TrustError('bad-signature', `${what} is not signed`);
  const key = signingKey(keys, packet);
  if (!key)
    throw new TrustError(
      'unknown-signer',
      `${what} is by key ${first.keyID.toHex().toUpperCase()}, which the policy does not name`,
    );
  await checkUsable(key, packet, what);
  try {
    await first.verified;
  } catch (error) {
    const why = errorChain(error).at(-1);
    throw new TrustError('bad-signature', `${what} by ${signerText(key)} is bad: ${why}`, error);
  }
  return { ...readClaim(data, 'atomic container signature', what), signer: signerText(key) };
}
