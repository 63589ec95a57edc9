import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { ensureFolder, syncFolder, writeFileAtomic } from '../os/files.ts';
import { logEvent } from '../systemd/journal.ts';
import { TrustError } from './error.ts';
import type { TrustRoots } from './types.ts';

/** A key with all certifications that people gave it has rarely more than some hundred kilobytes. */
export const keyFileLimit = 4 * 1024 * 1024;

/** The public key of a cosign key pair beside the OpenPGP keys of a folder. */
export const cosignKeyName = 'cosign.pub';

/** A file of the keyring. Without content it masks the key of that fingerprint. */
export interface KeyFile {
  readonly path: string;
  /** The file's name. */
  readonly fingerprint: string;
  /** Whose images it is trusted for; undefined: all. */
  readonly prefix: string | undefined;
  readonly bytes: Buffer;
}

/** A key that does not count, and the empty file that sees to it. */
export interface MaskedKey {
  readonly mask: string;
  /** Absent when there is nothing behind the mask. */
  readonly key?: KeyFile;
}

/** What the keyring says on one name, by fingerprint. */
export interface Keyring {
  readonly trusted: ReadonlyMap<string, KeyFile>;
  readonly masked: ReadonlyMap<string, MaskedKey>;
}

/** A folder of the keyring. */
interface KeyFolder {
  readonly path: string;
  readonly prefix: string | undefined;
}

/**
 * The keys for an image name (surface 6.1): those of root.d and of each prefix.d/PREFIX whose path is
 * the name or a parent of it; vendor before administrator, root.d before prefix.d. Of two files with
 * one name the later counts, be it empty.
 *
 * @param name undefined: for no name in particular, so root.d alone
 * @throws TrustError `io`, `bad-key` for a file that is too large
 */
export function keyringFor(roots: TrustRoots, name: string | undefined): Keyring {
  const trusted = new Map<string, KeyFile>();
  const masked = new Map<string, MaskedKey>();
  for (const file of foldersFor(roots, name).flatMap(keyFiles)) {
    const { fingerprint } = file;
    const key = trusted.get(fingerprint) ?? masked.get(fingerprint)?.key;
    trusted.delete(fingerprint);
    masked.delete(fingerprint);
    if (file.bytes.length > 0) trusted.set(fingerprint, file);
    else masked.set(fingerprint, { mask: file.path, ...(key && { key }) });
  }
  return { trusted, masked };
}

/**
 * The cosign public keys for an image name, PEM, in the order of `keyringFor`. The administrator's for
 * a prefix replaces the vendor's for it, also when it is empty.
 */
export function cosignKeysFor(roots: TrustRoots, name: string | undefined): KeyFile[] {
  const files = foldersFor(roots, name).flatMap(cosignKeyFiles);
  const byPlace = new Map(files.map((file) => [file.prefix, file]));
  return [...byPlace.values()].filter(({ bytes }) => bytes.length > 0);
}

/** Every OpenPGP key file and mask of the keyring, in the order in which the folders count. */
export function allKeyFiles(roots: TrustRoots): KeyFile[] {
  return allFolders(roots).flatMap(keyFiles);
}

/** Every cosign key file and mask of the keyring. */
export function allCosignKeyFiles(roots: TrustRoots): KeyFile[] {
  return allFolders(roots).flatMap(cosignKeyFiles);
}

/** Where a key of the administrator's belongs. */
export function localKeyPath(
  { local }: TrustRoots,
  prefix: string | undefined,
  fingerprint: string,
): string {
  const { path } = prefix === undefined ? rootFolder(local) : prefixFolder(local, prefix);
  return join(path, fingerprint);
}

/**
 * Writes a file of the keyring for all to read (0644, folders 0755, whatever the umask).
 *
 * @param content the armored key; empty for a mask
 * @throws TrustError `io`
 */
export function writeKeyFile(path: string, content: string): void {
  try {
    const umask = process.umask(0o022);
    try {
      if (ensureFolder(dirname(path), 0o755)) syncFolder(dirname(dirname(path)));
      writeFileAtomic(path, content, 0o644);
      tell(path, content === '' ? 'is masked' : 'is trusted', 'writeKeyFile');
    } finally {
      process.umask(umask);
    }
  } catch (error) {
    throw ioError('write', path, error);
  }
}

/** Removes a file of the keyring. Throws TrustError `io`. */
export function removeKeyFile(path: string): void {
  try {
    rmSync(path);
    syncFolder(dirname(path));
    tell(path, 'was removed', 'removeKeyFile');
  } catch (error) {
    throw ioError('remove', path, error);
  }
}

function tell(path: string, what: string, func: string): void {
  logEvent({
    kind: 'trust-changed',
    message: `Key ${path} ${what}`,
    priority: 'notice',
    code: `src/trust/keystore.ts:${func}`,
    fields: [['RKT_KEY', path]],
  });
}

function foldersFor({ system, local }: TrustRoots, name: string | undefined): KeyFolder[] {
  const prefixes = name === undefined ? [] : prefixesOf(name);
  const inBoth = [system, local];
  return [
    ...inBoth.map(rootFolder),
    ...inBoth.flatMap((root) => prefixes.map((prefix) => prefixFolder(root, prefix))),
  ];
}

function allFolders({ system, local }: TrustRoots): KeyFolder[] {
  const inBoth = [system, local];
  return [
    ...inBoth.map(rootFolder),
    ...inBoth.flatMap((root) =>
      prefixesBelow(join(root, 'trustedkeys/prefix.d'), '').map((prefix) =>
        prefixFolder(root, prefix),
      ),
    ),
  ];
}

/** A name and its parents, shortest first; none of a name that is not safe as a path. */
function prefixesOf(name: string): string[] {
  const parts = name.split('/');
  if (parts.some((part) => /^\.{0,2}$|\0/.test(part))) return [];
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'));
}

function rootFolder(root: string): KeyFolder {
  return { path: join(root, 'trustedkeys/root.d'), prefix: undefined };
}

function prefixFolder(root: string, prefix: string): KeyFolder {
  return { path: join(root, 'trustedkeys/prefix.d', prefix), prefix };
}

function prefixesBelow(folder: string, prefix: string): string[] {
  return entries(folder)
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const below = prefix === '' ? name : `${prefix}/${name}`;
      return [below, ...prefixesBelow(join(folder, name), below)];
    });
}

/** The OpenPGP keys and masks in a folder; not what a killed command left half written. */
function keyFiles({ path: folder, prefix }: KeyFolder): KeyFile[] {
  return entries(folder)
    .filter((entry) => !entry.isDirectory() && entry.name !== cosignKeyName)
    .filter(({ name }) => !name.startsWith('.') && !name.endsWith('.tmp'))
    .flatMap(({ name }) => {
      const path = join(folder, name);
      const bytes = readKeyFile(path);
      return bytes ? [{ path, fingerprint: name, prefix, bytes }] : [];
    });
}

function cosignKeyFiles({ path: folder, prefix }: KeyFolder): KeyFile[] {
  const path = join(folder, cosignKeyName);
  const bytes = readKeyFile(path);
  return bytes ? [{ path, fingerprint: cosignKeyName, prefix, bytes }] : [];
}

function entries(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return [];
    throw ioError('list', folder, error);
  }
}

function readKeyFile(path: string): Buffer | undefined {
  try {
    if (statSync(path).size > keyFileLimit)
      throw new TrustError(
        'bad-key',
        `cannot read key ${path}: it has more than ${keyFileLimit} bytes`,
      );
    return readFileSync(path);
  } catch (error) {
    if (error instanceof TrustError) throw error;
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw ioError('read', path, error);
  }
}

function ioError(attempt: string, path: string, error: unknown): TrustError {
  return new TrustError('io', `cannot ${attempt} ${path}`, error);
}
