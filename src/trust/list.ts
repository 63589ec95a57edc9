import { createHash } from 'node:crypto';
import { type CosignKey, readCosignKey } from './cosign.ts';
import { TrustError } from './error.ts';
import {
  allCosignKeyFiles,
  allKeyFiles,
  cosignKeysFor,
  type KeyFile,
  keyringFor,
  localKeyPath,
  removeKeyFile,
  writeKeyFile,
} from './keystore.ts';
import { identities } from './openpgp.ts';
import type { TrustRoots } from './types.ts';
import { readStoredKey } from './verify.ts';

/** A key of the keyring, for people. */
export interface ListedKey {
  /** Undefined: trusted for all images. */
  readonly prefix: string | undefined;
  /** Of an OpenPGP key; `sha256:HEX` of a cosign key in DER form. */
  readonly fingerprint: string;
  /** What an OpenPGP key claims; a cosign key claims nothing. */
  readonly identities: readonly string[];
  /** The file. */
  readonly location: string;
  /** The key does not count: an empty file hides it, or a newer file takes its place. */
  readonly masked: boolean;
}

/**
 * Every key of the keyring, those of cosign last.
 *
 * @param broken gets what is wrong with a file that is left out
 */
export async function listKeys(
  roots: TrustRoots,
  broken: (error: TrustError) => void,
): Promise<ListedKey[]> {
  const listed: ListedKey[] = [];
  const add = async (files: KeyFile[], describe: (file: KeyFile) => Promise<ListedKey>) => {
    for (const file of files.filter(({ bytes }) => bytes.length > 0))
      try {
        listed.push(await describe(file));
      } catch (error) {
        if (!(error instanceof TrustError)) throw error;
        broken(error);
      }
  };
  await add(allKeyFiles(roots), async (file) => ({
    prefix: file.prefix,
    fingerprint: file.fingerprint,
    identities: identities(await readStoredKey(file)),
    location: file.path,
    masked: keyringFor(roots, file.prefix).trusted.get(file.fingerprint)?.path !== file.path,
  }));
  await add(allCosignKeyFiles(roots), async ({ path, prefix, bytes }) => ({
    prefix,
    fingerprint: cosignFingerprint(readCosignKey(bytes, path)),
    identities: [],
    location: path,
    masked: !cosignKeysFor(roots, prefix).some((key) => key.path === path),
  }));
  return listed;
}

function cosignFingerprint({ key }: CosignKey): string {
  const der = key.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(der).digest('hex')}`;
}

/** Which keys are meant: those of one place, or wherever the key is. */
export type KeyScope = { readonly prefix: string | undefined } | 'everywhere';

/** What became of a key that is not trusted any more. */
export interface RemovedKey {
  readonly prefix: string | undefined;
  readonly path: string;
  /** `masked`: the vendor's file stays, hidden by an empty file at `path`. */
  readonly how: 'removed' | 'masked';
}

/**
 * Ends the trust in a key. The administrator's files go; a file of the vendor's is masked by an empty
 * one.
 *
 * @param fingerprint as people write it, blanks and case do not matter
 * @throws TrustError `not-found`, `bad-key` for what is no fingerprint, `io`
 */
export function removeKey(roots: TrustRoots, fingerprint: string, scope: KeyScope): RemovedKey[] {
  const wanted = fingerprint.replace(/^0x|\s/gi, '').toLowerCase();
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(wanted))
    throw new TrustError(
      'bad-key',
      `bad fingerprint ${JSON.stringify(fingerprint)}: it must have all 40 hex digits (see rkt trust list)`,
    );
  const places = new Map<string | undefined, KeyFile[]>();
  for (const file of allKeyFiles(roots)) {
    const inScope = scope === 'everywhere' || scope.prefix === file.prefix;
    if (file.fingerprint === wanted && inScope)
      places.set(file.prefix, [...(places.get(file.prefix) ?? []), file]);
  }
  const removed = [...places].flatMap(([prefix, files]) => {
    const path = localKeyPath(roots, prefix, wanted);
    const effective = files.at(-1);
    if (!effective || effective.bytes.length === 0) return [];
    const how = files.some((file) => file.path !== path) ? 'masked' : 'removed';
    if (how === 'masked') writeKeyFile(path, '');
    else removeKeyFile(path);
    return [{ prefix, path, how } as const];
  });
  if (removed.length > 0) return removed;
  throw new TrustError('not-found', `no trusted key ${wanted} there (see rkt trust list)`);
}
