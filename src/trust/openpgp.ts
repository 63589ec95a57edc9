import type { Key, PublicKey, SignaturePacket } from 'openpgp';
import { printable } from '../os/printable.ts';
import { TrustError } from './error.ts';

/** How many keys one file, or signatures one signature file, may have. */
const maxBlocks = 64;

/** OpenPGP takes 90 ms to load: only what checks or reads keys pays for it. */
export const loadOpenPgp = () => import('openpgp');

/**
 * The public keys in a file: armored, one block after the other, or binary.
 *
 * @param what names the file in messages
 * @throws TrustError `bad-key`
 */
export async function readPublicKeys(bytes: Uint8Array, what: string): Promise<PublicKey[]> {
  const wrong = (why: string, cause?: unknown) =>
    new TrustError('bad-key', `cannot read key ${what}: ${why}`, cause);
  const blocks = armoredBlocks(bytes, 'PUBLIC KEY BLOCK');
  if (/-----BEGIN PGP PRIVATE KEY BLOCK-----/.test(Buffer.from(bytes).toString('latin1')))
    throw wrong('it holds a private key; export the public one: gpg --export --armor');
  if (blocks.length > maxBlocks) throw wrong(`it holds more than ${maxBlocks} keys`);
  const { readKeys } = await loadOpenPgp();
  let keys: Key[];
  try {
    keys = isBinary(bytes)
      ? await readKeys({ binaryKeys: bytes })
      : (await Promise.all(blocks.map((armoredKeys) => readKeys({ armoredKeys })))).flat();
  } catch (error) {
    throw wrong('it is damaged, or no OpenPGP key', error);
  }
  if (keys.length === 0) throw wrong('it holds no OpenPGP public key');
  if (keys.length > maxBlocks) throw wrong(`it holds more than ${maxBlocks} keys`);
  return keys.map((key) => {
    if (key.isPrivate())
      throw wrong('it holds a private key; export the public one: gpg --export --armor');
    return key.toPublic();
  });
}

/**
 * The signatures in a file: armored, one block after the other, or binary.
 *
 * @param what names the file in messages
 * @throws TrustError `bad-signature`
 */
export async function readSignatures(bytes: Uint8Array, what: string): Promise<SignaturePacket[]> {
  const wrong = (why: string, cause?: unknown) =>
    new TrustError('bad-signature', `cannot read signature ${what}: ${why}`, cause);
  if (bytes.length === 0) throw wrong('it is empty');
  const blocks = armoredBlocks(bytes, 'SIGNATURE');
  if (blocks.length > maxBlocks) throw wrong(`it holds more than ${maxBlocks} signatures`);
  if (!isBinary(bytes) && blocks.length === 0)
    throw wrong('it is no OpenPGP signature, neither armored nor binary');
  const { readSignature } = await loadOpenPgp();
  try {
    const read = isBinary(bytes)
      ? [await readSignature({ binarySignature: bytes })]
      : await Promise.all(blocks.map((armoredSignature) => readSignature({ armoredSignature })));
    const packets = read.flatMap((signature) => [...signature.packets]);
    if (packets.length > maxBlocks) throw wrong(`it holds more than ${maxBlocks} signatures`);
    if (packets.length === 0) throw wrong('it holds no signature');
    return packets;
  } catch (error) {
    throw error instanceof TrustError ? error : wrong('it is damaged', error);
  }
}

/** A signer for people: `IDENTITY (FINGERPRINT)`. */
export function signerText(key: Key): string {
  return `${identities(key)[0] ?? 'nobody'} (${key.getFingerprint()})`;
}

/** The identities that a key claims, fit for a terminal. */
export function identities(key: Key): string[] {
  return key.getUserIDs().map(printable);
}

function isBinary(bytes: Uint8Array): boolean {
  // Every OpenPGP packet starts with a byte that has this bit (RFC 9580 section 4.2).
  return ((bytes[0] ?? 0) & 0x80) !== 0;
}

function armoredBlocks(bytes: Uint8Array, kind: string): string[] {
  const pattern = new RegExp(
    `^-----BEGIN PGP ${kind}-----[ \\t]*\\r?$[^]*?^-----END PGP ${kind}-----`,
    'gm',
  );
  return (
    Buffer.from(bytes)
      .toString('latin1')
      .match(pattern)
      ?.map((block) => `${block}\n`) ?? []
  );
}
