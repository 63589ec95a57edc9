import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { ReadableStream } from 'node:stream/web';
import type { PublicKey, SignaturePacket } from 'openpgp';
import { errorChain } from '../os/error.ts';
import { TrustError } from './error.ts';
import { type KeyFile, type Keyring, keyringFor, type MaskedKey } from './keystore.ts';
import { loadOpenPgp, readPublicKeys, readSignatures, signerText } from './openpgp.ts';
import type { TrustRoots } from './types.ts';

const signatureLimit = 1024 * 1024;
const chunkSize = 1 << 20;

/** What an AciVerifier works with. */
export interface AciTrust {
  readonly roots: TrustRoots;
  /** The name in the manifest of an ACI that nobody has verified yet. */
  readonly manifestName: (file: string, where: string) => Promise<string>;
}

export interface SignedAci {
  /** The image as received, compressed or not. */
  readonly file: string;
  /** What messages call it; default: the file. */
  readonly where?: string;
  /** The file with its signature, armored or binary. */
  readonly signature: string;
  /** The name that was asked for; without one that of the image's own manifest counts. */
  readonly name: string | undefined;
}

export interface VerifiedAci {
  /** A line for each trusted signer: `IDENTITY (FINGERPRINT)`. */
  readonly signers: readonly string[];
  /** The name for which the signers are trusted. The manifest that is imported must have it. */
  readonly name: string;
}

/**
 * A function that checks the detached signature of an ACI over its bytes as received. One good
 * signature by a trusted key is enough, whatever else is in the file.
 *
 * It throws TrustError `no-keys`, `unknown-signer`, `masked-key`, `unusable-key`, `bad-signature`,
 * and as for reading the keyring; nothing of the image may be used then.
 */
export function aciVerifier({ roots, manifestName }: AciTrust) {
  return async ({
    file,
    where = file,
    signature,
    name: asked,
  }: SignedAci): Promise<VerifiedAci> => {
    const packets = await readSignatures(readSignatureFile(signature), signature);
    const name = asked ?? (await manifestName(file, where));
    const aci = { file, where };
    const signers = await verifyDetached(aci, packets, signature, name, keyringFor(roots, name));
    return { signers, name };
  };
}

async function verifyDetached(
  aci: { readonly file: string; readonly where: string },
  packets: readonly SignaturePacket[],
  where: string,
  name: string,
  keyring: Keyring,
): Promise<string[]> {
  if (keyring.trusted.size === 0 && keyring.masked.size === 0)
    throw new TrustError(
      'no-keys',
      `no key is trusted for ${name}: cannot verify ${aci.where}; add one with rkt trust --prefix=${name}`,
    );
  const keys = await Promise.all([...keyring.trusted.values()].map(readStoredKey));
  const signers: string[] = [];
  let failure: TrustError | undefined;
  for (const packet of packets) {
    const key = signingKey(keys, packet);
    if (!key) continue;
    try {
      await checkUsable(key, packet, where);
      await verifyPacket(aci, packet, key, where);
      signers.push(signerText(key));
    } catch (error) {
      if (!(error instanceof TrustError)) throw error;
      failure ??= error;
    }
  }
  if (signers.length > 0) return [...new Set(signers)];
  throw failure ?? (await unknownSigner(packets, where, name, keyring.masked));
}

/**
 * The key in a file of the keyring, which must be named by its fingerprint. Of several keys, as rkt 1
 * may have stored them, the first one counts.
 *
 * @throws TrustError `fingerprint-mismatch`, `bad-key`
 */
export async function readStoredKey({ path, fingerprint, bytes }: KeyFile): Promise<PublicKey> {
  const [key] = await readPublicKeys(bytes, path);
  if (key?.getFingerprint() === fingerprint) return key;
  throw new TrustError(
    'fingerprint-mismatch',
    `fingerprint mismatch: ${path} holds key ${key?.getFingerprint()}, whose fingerprint must be the file's name`,
  );
}

/**
 * Refuses a key that is expired or revoked by now, though the signature may be from before that, or
 * that is too weak or not meant for signing.
 *
 * @param where names the signature in messages
 * @throws TrustError `unusable-key`
 */
export async function checkUsable(
  key: PublicKey,
  { issuerKeyID }: SignaturePacket,
  where: string,
): Promise<void> {
  try {
    await key.getSigningKey(issuerKeyID, new Date());
  } catch (error) {
    throw new TrustError(
      'unusable-key',
      `signature ${where} is by ${signerText(key)}, a key that cannot be used: ${errorChain(error).at(-1)}`,
      error,
    );
  }
}

/** The key that a signature says it is from, or that has the subkey it is from. */
export function signingKey(
  keys: readonly PublicKey[],
  { issuerKeyID }: SignaturePacket,
): PublicKey | undefined {
  return keys.find((key) => key.getKeys(issuerKeyID).length > 0);
}

async function verifyPacket(
  { file, where: image }: { readonly file: string; readonly where: string },
  packet: SignaturePacket,
  key: PublicKey,
  where: string,
): Promise<void> {
  const wrong = (why: string, cause?: unknown) =>
    new TrustError('bad-signature', `bad signature ${where} by ${signerText(key)}: ${why}`, cause);
  const { createMessage, enums, PacketList, Signature, verify } = await loadOpenPgp();
  // One over text leaves line ends open.
  if (packet.signatureType !== enums.signature.binary) throw wrong('it is not over binary content');
  const alone = new PacketList<SignaturePacket>();
  alone.push(packet);
  const fd = openSync(file, 'r');
  try {
    const { data, signatures } = await verify({
      message: await createMessage({ binary: chunks(fd), format: 'binary' }),
      signature: new Signature(alone),
      verificationKeys: key,
      format: 'binary',
    });
    const reader = data.getReader();
    while (!(await reader.read()).done);
    const [signature] = signatures;
    if (!signature) throw new Error('it is not over binary content');
    await signature.verified;
  } catch (error) {
    const why = errorChain(error).at(-1) ?? '';
    const isOther = /digest did not match|verification failed/.test(why);
    throw wrong(isOther ? `it is not over the bytes of ${image}` : why, error);
  } finally {
    closeSync(fd);
  }
}

/** The rest of a file, a piece at a time as they are asked for. */
function chunks(fd: number): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      pull(controller) {
        const chunk = new Uint8Array(chunkSize);
        const size = readSync(fd, chunk);
        if (size > 0) controller.enqueue(chunk.subarray(0, size));
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

function readSignatureFile(path: string): Buffer {
  try {
    if (statSync(path).size <= signatureLimit) return readFileSync(path);
  } catch (error) {
    throw new TrustError('io', `cannot read signature ${path}`, error);
  }
  throw new TrustError(
    'bad-signature',
    `cannot read signature ${path}: it has more than ${signatureLimit} bytes`,
  );
}

async function unknownSigner(
  packets: readonly SignaturePacket[],
  where: string,
  name: string,
  masked: ReadonlyMap<string, MaskedKey>,
): Promise<TrustError> {
  for (const packet of packets)
    for (const [fingerprint, { mask, key }] of masked)
      if (await isFrom(packet, fingerprint, key))
        return new TrustError(
          'masked-key',
          `signature ${where} is made by key ${fingerprint}, which ${mask} masks`,
        );
  const ids = packets.map(({ issuerKeyID }) => issuerKeyID.toHex().toUpperCase());
  return new TrustError(
    'unknown-signer',
    `signature ${where} is made by unknown key ${[...new Set(ids)].join(', ')}: no key trusted for ${name} is that one; rkt trust --prefix=${name} adds keys`,
  );
}

async function isFrom(
  packet: SignaturePacket,
  fingerprint: string,
  file: KeyFile | undefined,
): Promise<boolean> {
  if (fingerprint.endsWith(packet.issuerKeyID.toHex())) return true;
  return file !== undefined && signingKey([await readStoredKey(file)], packet) !== undefined;
}
