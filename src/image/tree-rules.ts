import { badTar, quoteName } from './tar-headers.ts';
import type { TarEntry } from './tar-walker.ts';

const PATH_MAX = 4096;
const NAME_MAX = 255;
/** Bounds the memory that the paths of an archive take. */
const ENTRY_LIMIT = 2_000_000;

/** `implied`: a folder that only the entries below it tell of. */
type Kind = 'folder' | 'implied' | 'file' | 'symlink' | 'special';

/**
 * The paths of an archive so far, and the rules that keep each entry inside the archive's root and
 * the result independent of the order in which a reader meets them.
 */
export class TreeRules {
  readonly #kinds = new Map<string, Kind>();
  readonly #lenient: boolean;

  /**
   * @param lenient as OCI layers are made: names may start with a slash and a path may come again
   * as a thing of the same kind
   */
  constructor(lenient: boolean) {
    this.#lenient = lenient;
  }

  /** What the archive has at a path so far. */
  kind(path: string): Kind | undefined {
    return this.#kinds.get(path);
  }

  /**
   * The path without `./`, doubled and trailing slashes; empty for the root.
   *
   * @throws ImageError `bad-image` for a path that leaves the root or breaks a limit
   */
  normalise(name: string): string {
    if (name.length >= PATH_MAX)
      throw badTar(
        `the name ${quoteName(name)} has ${name.length} bytes, more than ${PATH_MAX - 1}`,
      );
    if (name.startsWith('/') && !this.#lenient)
      throw badTar(`the name ${quoteName(name)} is absolute`);
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    if (name === '' || parts.includes('..') || name.includes('\0'))
      throw badTar(`the name ${quoteName(name)} leads outside or nowhere`);
    if (parts.some((part) => part.length > NAME_MAX))
      throw badTar(`the name ${quoteName(name)} has a part of more than ${NAME_MAX} bytes`);
    return parts.join('/');
  }

  /** Admits an entry at a normalised path. Throws ImageError `bad-image`, which names the entry. */
  add(path: string, entry: TarEntry): void {
    if (path === '') return;
    this.checkParents(path);
    const kind = this.#kindOf(path, entry);
    const before = this.#kinds.get(path);
    if (before !== undefined) this.#checkAgain(path, before, kind);
    if (this.#kinds.size >= ENTRY_LIMIT) throw badTar(`it has more than ${ENTRY_LIMIT} entries`);
    this.#kinds.set(path, kind);
  }

  /** Throws ImageError `bad-image` when a part of the way to `path` is something else than a folder. */
  checkParents(path: string): void {
    const slash = path.lastIndexOf('/');
    if (slash < 0) return;
    const parent = path.slice(0, slash);
    const kind = this.#kinds.get(parent);
    if (kind === 'folder' || kind === 'implied') return;
    if (kind === 'symlink')
      throw badTar(`the entry ${quoteName(path)} lies below the symlink ${quoteName(parent)}`);
    if (kind !== undefined)
      throw badTar(
        `the entry ${quoteName(path)} lies below ${quoteName(parent)}, which is no folder`,
      );
    this.checkParents(parent);
    this.#kinds.set(parent, 'implied');
  }

  #checkAgain(path: string, before: Kind, kind: Kind): void {
    const folderAgain = kind === 'folder' && (before === 'folder' || before === 'implied');
    if (folderAgain && (before === 'implied' || this.#lenient)) return;
    const folders = [before, kind].some((each) => each === 'folder' || each === 'implied');
    if (this.#lenient && !folders) return;
    throw badTar(`the entry ${quoteName(path)} comes twice`);
  }

  #kindOf(path: string, entry: TarEntry): Kind {
    switch (entry.type) {
      case 'directory':
        return 'folder';
      case 'symlink':
        this.#checkTarget(path, entry.linkName);
        return 'symlink';
      case 'hardlink':
        return this.#kindOfTarget(path, entry.linkName);
      case 'file':
        return 'file';
      case 'device':
      case 'fifo':
        return 'special';
    }
  }

  #checkTarget(path: string, target: string): void {
    if (target === '' || target.length >= PATH_MAX || target.includes('\0'))
      throw badTar(`the symlink ${quoteName(path)} has a target of ${target.length} bytes`);
  }

  /** A hard link to a symlink is one more name of that symlink. */
  #kindOfTarget(path: string, linkName: string): Kind {
    const attempt = `the hard link ${quoteName(path)} to ${quoteName(linkName)}`;
    if (linkName.startsWith('/') && !this.#lenient) throw badTar(`${attempt} points outside`);
    if (linkName.split('/').includes('..')) throw badTar(`${attempt} points outside`);
    const kind = linkName === '' ? undefined : this.#kinds.get(this.normalise(linkName));
    if (kind === undefined) throw badTar(`${attempt} has no earlier entry of that name to link to`);
    if (kind === 'folder' || kind === 'implied') throw badTar(`${attempt} points to a folder`);
    return kind;
  }
}
