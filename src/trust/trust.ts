import { readFileSync, statSync } from 'node:fs';
import type { PublicKey } from 'openpgp';
import { isACIdentifier } from '../appc/names.ts';
import { type HttpClient, readBytes, statusError } from '../http/client.ts';
import { HttpError } from '../http/error.ts';
import { printable } from '../os/printable.ts';
import { TrustError } from './error.ts';
import { keyFileLimit, keyringFor, localKeyPath, writeKeyFile } from './keystore.ts';
import { readPublicKeys } from './openpgp.ts';
import { reviewText } from './review.ts';
import { confirm } from './terminal.ts';
import type { Dialog, DiscoveredKey, TrustRoots } from './types.ts';

const downloadTime = 120_000;

/** A key file on its way into the keyring. */
export interface KeyCandidate {
  /** The path or URL, as the user sees it. */
  readonly location: string;
  /** Whose images its keys are to be trusted for; undefined: all. */
  readonly prefix: string | undefined;
  readonly bytes: Uint8Array;
}

export interface TrustOptions {
  readonly roots: TrustRoots;
  /** `skip`: the caller vouches for the keys, nobody is asked. */
  readonly review: 'ask' | 'skip';
  readonly dialog: Dialog;
  /** What to do instead where nobody can be asked. */
  readonly hint: string;
  /** Gets the fingerprints and what was stored. */
  readonly result: (text: string) => void;
  /** Gets what goes on meanwhile. */
  readonly notice: (text: string) => void;
}

/**
 * Shows the keys of a file to the user and, when they are accepted, stores each of them for itself.
 *
 * @returns whether they were accepted
 * @throws TrustError `bad-key`, `not-accepted` where nobody can be asked, `io`
 */
export async function trustKeys(candidate: KeyCandidate, options: TrustOptions): Promise<boolean> {
  const { prefix } = candidate;
  const location = JSON.stringify(printable(candidate.location));
  const { roots, review, dialog, result, notice } = options;
  const keys = await readPublicKeys(candidate.bytes, printable(candidate.location));
  notice(`prefix: ${JSON.stringify(prefix ?? '')}\nkey: ${location}\n`);
  result(keys.map(reviewText).join(''));
  if (review === 'ask' && !dialog.terminal)
    throw new TrustError(
      'not-accepted',
      `unable to ask user to review fingerprint due to lack of tty; ${options.hint}`,
    );
  if (review === 'ask' && !(await confirm(dialog, question(keys)))) {
    notice(`not trusting ${location}\n`);
    return false;
  }
  const scope = prefix === undefined ? 'root' : `prefix ${JSON.stringify(prefix)}`;
  const how = review === 'ask' ? 'after' : 'without';
  notice(`Trusting ${location} for ${scope} ${how} fingerprint review.\n`);
  for (const key of keys) {
    const path = localKeyPath(roots, prefix, key.getFingerprint());
    writeKeyFile(path, key.armor());
    const added = prefix === undefined ? 'Added root key' : `Added key for ${scope}`;
    result(`${added} at ${JSON.stringify(path)}\n`);
  }
  return true;
}

function question(keys: readonly PublicKey[]): string {
  return `Are you sure you want to trust ${keys.length === 1 ? 'this key' : `these ${keys.length} keys`}`;
}

/** The bytes of a key file. Throws TrustError `bad-key`, `io`. */
export function readKeyFrom(path: string): Buffer {
  try {
    if (statSync(path).size <= keyFileLimit) return readFileSync(path);
  } catch (error) {
    throw new TrustError('io', `cannot read key ${path}`, error);
  }
  throw new TrustError(
    'bad-key',
    `cannot read key ${path}: it has more than ${keyFileLimit} bytes`,
  );
}

/** A key file that was downloaded. */
export interface DownloadedKey {
  readonly bytes: Buffer;
  /** Whether nobody on the way could change it. */
  readonly secure: boolean;
}

/**
 * Downloads a key file, in two minutes at most.
 *
 * @param plainHttp whether plain HTTP will do, for this URL or behind a redirect
 * @throws HttpError, `insecure` for plain HTTP
 */
export async function downloadKey(
  client: HttpClient,
  url: string,
  plainHttp: boolean,
): Promise<DownloadedKey> {
  const signal = AbortSignal.timeout(downloadTime);
  const insecure = new HttpError(
    'insecure',
    `cannot get key ${url}: plain HTTP is not allowed for keys`,
  );
  if (/^http:/i.test(url) && !plainHttp) throw insecure;
  const answer = await client.request(url, { plainHttp, signal });
  const secure = /^https:/i.test(url) && answer.url.protocol === 'https:';
  if (answer.status !== 200) throw statusError(answer);
  if (!secure && !plainHttp) {
    answer.discard();
    throw insecure;
  }
  return { bytes: await readBytes(answer, keyFileLimit), secure };
}

/** Throws TrustError `bad-prefix` unless the text can be the start of image names. */
export function checkPrefix(prefix: string): void {
  const wrong = (why: string) =>
    new TrustError('bad-prefix', `bad prefix ${JSON.stringify(prefix)}: ${why}`);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(prefix)) throw wrong('it must not have a URL scheme');
  if (!isACIdentifier(prefix))
    throw wrong(
      'as the start of image names it has lower-case letters, digits and single - . _ ~ /',
    );
}

export interface FetchTrust {
  readonly roots: TrustRoots;
  readonly client: HttpClient;
  /** The image that is to be fetched. */
  readonly name: string;
  /** Finds where the keys for a name are, in the order in which they are offered. */
  readonly discover: () => Promise<readonly DiscoveredKey[]>;
  /** `--trust-keys-from-https`: keys that come by https are accepted unseen. */
  readonly acceptHttps: boolean;
  /** `--insecure-options=http,pubkey`: keys may come by plain HTTP. */
  readonly plainHttp: boolean;
  readonly dialog: Dialog;
  /** Gets all text; a fetch prints nothing but the image's key on stdout. */
  readonly notice: (text: string) => void;
}

/**
 * For an image that is fetched by name and for which no key is trusted yet: offers the discovered keys
 * to the user (surface 6.3). Does nothing when there are keys, masked ones included.
 *
 * @returns whether keys were added
 * @throws TrustError `not-accepted` where nobody can be asked; HttpError
 */
export async function trustForFetch(fetch: FetchTrust): Promise<boolean> {
  const { roots, client, name, acceptHttps, plainHttp, dialog, notice } = fetch;
  const { trusted, masked } = keyringFor(roots, name);
  // A masked key was taken away on purpose: the network does not bring it back.
  if (trusted.size > 0 || masked.size > 0) return false;
  let added = false;
  for (const { prefix: given, url } of await fetch.discover()) {
    const prefix = given.replace(/\/$/, '');
    if (!`${name}/`.startsWith(`${prefix}/`)) continue;
    checkPrefix(prefix);
    const { bytes, secure } = await downloadKey(client, url, plainHttp);
    const accepted = await trustKeys(
      { location: url, prefix, bytes },
      {
        roots,
        review: acceptHttps && secure ? 'skip' : 'ask',
        dialog,
        hint: `accept keys from https with --trust-keys-from-https, or trust them first with rkt trust --prefix=${prefix}`,
        result: notice,
        notice,
      },
    );
    added ||= accepted;
  }
  return added;
}
