import { readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ImageManifest, NameValue } from '../appc/index.ts';
import { errnoOf } from '../os/error.ts';
import { ensureFolder } from '../os/files.ts';
import { ImageError } from './error.ts';
import { parseKeyPrefix } from './reference.ts';

/** Where a stored image came from. */
export interface ImageSource {
  /** The reference that was fetched, in its canonical form: a path, an URL, `docker://…`. */
  readonly reference: string;
  /** The name was asked for without a version, so this is what "latest" was at that time. */
  readonly latest?: boolean;
}

/** An image in the store. */
export interface StoredImage {
  /** `sha512-` and 64 hex digits. */
  readonly key: string;
  readonly manifest: ImageManifest;
  /** The manifest's name, and its label `version`. */
  readonly name: string;
  readonly version?: string;
  /**
   * Nanoseconds since the epoch, exact to a millisecond; of what came by one name in turn each is later
   * than what came before it, whatever the clock said.
   */
  readonly importTime: number;
  readonly lastUsed: number;
  /** Bytes: the image as received and its unpacked trees. */
  readonly size: number;
  /** Ids of its unpacked trees, bottom first. */
  readonly layers: readonly string[];
  readonly source?: ImageSource;
  readonly otherNames?: readonly OtherName[];
}

/**
 * A name by which the same image came again: from another repository, by another tag, or by the one
 * that it had, which has led to another image meanwhile.
 */
export interface OtherName {
  readonly name: string;
  readonly version?: string;
  /** As of ImageSource. */
  readonly latest?: boolean;
  /** When it came so last, nanoseconds since the epoch. */
  readonly importTime: number;
}

/** What `info` holds beside the manifest; the file's mtime is the time of last use. */
export interface ImageInfo {
  readonly name: string;
  readonly version?: string;
  readonly importTime: number;
  readonly size: number;
  readonly layers: readonly string[];
  readonly source?: ImageSource;
  readonly otherNames?: readonly OtherName[];
}

/**
 * The content store below DATADIR/cas, in plain files (docs/design.md, "On disk"):
 * `blob/ID` the bytes as received, `image/KEY/{manifest,info}`, `tree/ID/{rootfs/,size}`, `file/` what
 * is known of local files, `tmp/` work in progress. Whatever has its final name is whole.
 *
 * Reading needs no lock and no privilege.
 */
export class Store {
  readonly dataDir: string;
  readonly cas: string;

  constructor(dataDir: string) {
    this.dataDir = resolve(dataDir);
    this.cas = join(this.dataDir, 'cas');
  }

  /** The path of a part of the store, which need not exist. */
  path(part: 'blob' | 'image' | 'tree' | 'file' | 'tmp', ...below: string[]): string {
    return join(this.cas, part, ...below);
  }

  /** The root of an unpacked tree: a lower directory for overlayfs. */
  treeRoot(id: string): string {
    return this.path('tree', id, 'rootfs');
  }

  /** The bytes of an ACI or a layer as they were received. */
  blobPath(id: string): string {
    return this.path('blob', id);
  }

  hasTree(id: string): boolean {
    return statSync(this.path('tree', id), { throwIfNoEntry: false }) !== undefined;
  }

  /** The image with exactly this key, or undefined. */
  get(key: string): StoredImage | undefined {
    const folder = this.path('image', key);
    try {
      const info = JSON.parse(readFileSync(join(folder, 'info'), 'utf8')) as ImageInfo;
      const manifest = JSON.parse(readFileSync(join(folder, 'manifest'), 'utf8')) as ImageManifest;
      const lastUsed = Math.trunc(statSync(join(folder, 'info')).mtimeMs) * 1e6;
      return { key, manifest, lastUsed, ...info };
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw this.#unreadable(`image ${key}`, error);
    }
  }

  /** All images, in the order of their keys. */
  list(): StoredImage[] {
    return this.#keys().flatMap((key) => this.get(key) ?? []);
  }

  /** All images but those that cannot be read. */
  listReadable(): StoredImage[] {
    return this.#keys().flatMap((key) => {
      try {
        return this.get(key) ?? [];
      } catch (error) {
        if (error instanceof ImageError) return [];
        throw error;
      }
    });
  }

  /** The text of an image's manifest. Throws ImageError `not-found`. */
  readManifest(key: string): string {
    try {
      return readFileSync(this.path('image', key, 'manifest'), 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') throw notFound(key);
      throw this.#unreadable(`image ${key}`, error);
    }
  }

  /**
   * The one image whose key starts with `prefix`: `sha512-` and at least two digits; what is longer
   * than a key is cut. Throws ImageError `bad-key`, `not-found`, `ambiguous` (surface 4.1).
   */
  findByKeyPrefix(prefix: string): StoredImage {
    const cut = parseKeyPrefix(prefix);
    const [key, ...others] = this.#keys().filter((each) => each.startsWith(cut));
    if (others.length > 0)
      throw new ImageError(
        'ambiguous',
        `ambiguous image ID "${prefix}": ${others.length + 1} images start with it, give more digits`,
      );
    const image = key === undefined ? undefined : this.get(key);
    if (!image) throw notFound(prefix);
    return image;
  }

  /**
   * The images of this name which carry all of these labels, best first: when no version is asked for
   * the one that was "latest" last, then the one that came last by that name and version.
   */
  findByName(name: string, labels: readonly NameValue[]): StoredImage[] {
    return rank(this.list(), name, labels).map(({ image }) => image);
  }

  /** Notes that the image is used now; without right to write it changes nothing. */
  touch(key: string): void {
    const now = new Date();
    try {
      utimesSync(this.path('image', key, 'info'), now, now);
    } catch (error) {
      if (!['ENOENT', 'EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error) ?? '')) throw error;
    }
  }

  /** Makes the store's folders; images and their manifests are open to all, their content is not. */
  create(): void {
    try {
      ensureFolder(this.path('image'), 0o755);
      for (const part of ['blob', 'tree', 'file', 'tmp'] as const)
        ensureFolder(this.path(part), 0o700);
    } catch (error) {
      throw storeError(`make the image store ${this.cas}`, error);
    }
  }

  #keys(): string[] {
    try {
      return readdirSync(this.path('image')).sort();
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw this.#unreadable('the images', error);
    }
  }

  #unreadable(what: string, error: unknown): ImageError {
    return storeError(`read ${what} in the store ${this.cas}`, error);
  }
}

/** Opens the store of a data folder; nothing is read or made before it is needed. */
export function openStore(dataDir: string): Store {
  return new Store(dataDir);
}

/** ImageError `denied` or `io` for what failed in the store, with the reason in words. */
export function storeError(attempt: string, error: unknown): ImageError {
  const isDenied = ['EACCES', 'EPERM'].includes(errnoOf(error) ?? '');
  return new ImageError(isDenied ? 'denied' : 'io', `${attempt}: ${reason(error)}`, error);
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'disk quota exceeded',
  ENOENT: 'no such file or folder',
  EISDIR: 'it is a folder',
};

/** Why an operation failed, in words where the errno is a common one. */
export function reason(error: unknown): string {
  const text = REASONS[errnoOf(error) ?? ''];
  return text ?? (error instanceof Error ? error.message : String(error));
}

function notFound(key: string): ImageError {
  return new ImageError('not-found', `no image IDs found for "${key}"`);
}

/** All names by which an image came, its first one included. */
export function namesOf({
  name,
  version,
  importTime,
  source,
  otherNames = [],
}: StoredImage): OtherName[] {
  const first = { name, importTime, latest: source?.latest ?? false };
  return [version === undefined ? first : { ...first, version }, ...otherNames];
}

/** An image that a name may mean. */
export interface RankedImage {
  readonly image: StoredImage;
  /** When it came so last, and when as what was "latest"; 0: never, or a version is asked for. */
  readonly last: number;
  readonly asLatest: number;
}

/** What Store.findByName finds among some images. */
export function rank(
  images: readonly StoredImage[],
  name: string,
  labels: readonly NameValue[],
): RankedImage[] {
  const anyVersion = labels.every((label) => label.name !== 'version');
  return images
    .flatMap((image) => {
      const fitting = namesOf(image).filter((each) => fits(image, each, name, labels));
      const last = lastTime(fitting);
      const asLatest = anyVersion ? lastTime(fitting.filter(({ latest }) => latest)) : 0;
      return fitting.length === 0 ? [] : [{ image, last, asLatest }];
    })
    .sort((a, b) => b.asLatest - a.asLatest || b.last - a.last);
}

/** Whether one of an image's names, with the labels of its manifest, is what is asked for. */
function fits(
  { manifest }: StoredImage,
  known: OtherName,
  name: string,
  labels: readonly NameValue[],
): boolean {
  return (
    known.name === name &&
    labels.every((label) =>
      label.name === 'version'
        ? label.value === known.version
        : manifest.labels.some((one) => one.name === label.name && one.value === label.value),
    )
  );
}

function lastTime(names: readonly OtherName[]): number {
  return names.reduce((last, { importTime }) => Math.max(last, importTime), 0);
}
