import { PathTable } from './path-table.ts';
import { badTar, quoteName } from './tar-headers.ts';
import type { TarEntry } from './tar-walker.ts';

const PATH_MAX = 4096;
const NAME_MAX = 255;
/** These bound the memory that the paths of an archive take: those that only count, and the texts. */
const ENTRY_LIMIT = 1_500_000;
const TEXT_LIMIT = 16 << 20;

/** `implied`: a folder that only the entries below it tell of. */
const KINDS = ['folder', 'implied', 'file', 'symlink', 'special'] as const;
type Kind = (typeof KINDS)[number];

/** Paths (latin1) that have to be known again at the end, up to a limit. */
export class PathSet {
  readonly #paths = new Set<string>();
  #bytes = 0;

  /** Throws ImageError `bad-image` when there are too many; `what` they are, in the plural. */
  add(path: string, what: string): void {
    if (this.#paths.has(path)) return;
    this.#bytes += path.length + 1;
    if (this.#bytes > TEXT_LIMIT) throw badTar(`it has too many ${what}`);
    this.#paths.add(path);
  }

  delete(path: string): void {
    if (this.#paths.delete(path)) this.#bytes -= path.length + 1;
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#paths[Symbol.iterator]();
  }
}

/**
 * The paths of an archive so far, and the rules that keep each entry inside the archive's root and
 * the result independent of the order in which a reader meets them.
 */
export class TreeRules {
  readonly #kinds = new PathTable();
  readonly #implied = new PathSet();
  readonly #lenient: boolean;
  /** A folder that has passed, since most entries have the same parent as the one before. */
  #lastParent = '';

  /**
   * @param lenient as OCI layers are made: names may start with a slash and a path may come again
   * as a thing of the same kind
   */
  constructor(lenient: boolean) {
    this.#lenient = lenient;
  }

  /** What the archive has at a path so far. */
  kind(path: string): Kind | undefined {
    return KINDS[this.#kinds.get(path) - 1];
  }

  /** The folders that only the entries below them tell of; among them the root, as an empty path. */
  *implied(): Generator<string> {
    if (this.kind('') === undefined) yield '';
    yield* this.#implied;
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
    if (path === '') {
      this.#set('', 'folder');
      return;
    }
    this.checkParents(path);
    const kind = this.#kindOf(path, entry);
    const before = this.kind(path);
    if (before !== undefined) this.#checkAgain(path, before, kind);
    if (before === 'implied') this.#implied.delete(path);
    this.#set(path, kind);
  }

  #set(path: string, kind: Kind): void {
    if (this.#kinds.size >= ENTRY_LIMIT)
      throw badTar(
        `it has more than ${ENTRY_LIMIT} entries, the most of one archive; layers, or dependencies of an ACI, may have as many each`,
      );
    this.#kinds.set(path, KINDS.indexOf(kind) + 1);
  }

  /** Throws ImageError `bad-image` when a part of the way to `path` is something else than a folder. */
  checkParents(path: string): void {
    const slash = path.lastIndexOf('/');
    if (slash < 0) return;
    const parent = path.slice(0, slash);
    if (parent === this.#lastParent) return;
    const kind = this.kind(parent);
    if (kind === 'folder' || kind === 'implied') {
      this.#lastParent = parent;
      return;
    }
    if (kind === 'symlink')
      throw badTar(`the entry ${quoteName(path)} lies below the symlink ${quoteName(parent)}`);
    if (kind !== undefined)
      throw badTar(
        `the entry ${quoteName(path)} lies below ${quoteName(parent)}, which is no folder`,
      );
    this.checkParents(parent);
    this.#implied.add(parent, 'folders without an entry of their own');
    this.#set(parent, 'implied');
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
    const kind = linkName === '' ? undefined : this.kind(this.normalise(linkName));
    if (kind === undefined) throw badTar(`${attempt} has no earlier entry of that name to link to`);
    if (kind === 'folder' || kind === 'implied') throw badTar(`${attempt} points to a folder`);
    return kind;
  }
}
