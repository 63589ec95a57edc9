import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs';
import { posix } from 'node:path';
import { openInRootFd } from './syscalls.ts';

/**
 * Looks at a path of a root file system that is not ours, by the rules that hold inside it: the
 * kernel resolves every symlink and `..` as if `root` were `/` (openat2(2), RESOLVE_IN_ROOT).
 * Undefined when there is no such path.
 */
function withPath<T>(root: string, path: string, read: (fd: number) => T): T | undefined {
  const fd = openInRootFd(root, path);
  if (fd === undefined) return undefined;
  try {
    return read(fd);
  } finally {
    closeSync(fd);
  }
}

/** What a path inside `root` is, symlinks followed inside it. */
export function statInRoot(root: string, path: string): Stats | undefined {
  return withPath(root, path, (fd) => fstatSync(fd));
}

/** More than any /etc/passwd has; a hostile one could be as long as it likes. */
const MAX_TEXT = 4 << 20;

/** The text of a regular file inside `root`, as far as it is looked at. */
export function readInRoot(root: string, path: string): string | undefined {
  if (!statInRoot(root, path)?.isFile()) return undefined;
  return readHeadInRoot(root, path, MAX_TEXT).toString('utf8');
}

/** The first bytes of a regular file inside `root`; empty when there is no such file. */
export function readHeadInRoot(root: string, path: string, size: number): Buffer {
  const head = withPath(root, path, (fd) => {
    if (!fstatSync(fd).isFile()) return undefined;
    const file = openSync(`/proc/self/fd/${fd}`, 'r');
    try {
      const buffer = Buffer.allocUnsafe(Math.min(size, fstatSync(file).size));
      return buffer.subarray(0, readSync(file, buffer));
    } finally {
      closeSync(file);
    }
  });
  return head ?? Buffer.alloc(0);
}

/** Whether a path inside `root` is a file that somebody may execute. */
export function isExecutableInRoot(root: string, path: string): boolean {
  const stats = statInRoot(root, path);
  return stats?.isFile() === true && (stats.mode & 0o111) !== 0;
}

/** Whether a path inside `root` is a folder with something in it. */
export function hasContent(root: string, path: string): boolean {
  const count = withPath(root, path, (fd) =>
    fstatSync(fd).isDirectory() ? readdirSync(`/proc/self/fd/${fd}`).length : 0,
  );
  return (count ?? 0) > 0;
}

/**
 * Calls `action` with a path of this process that stands for a folder inside `root`, wherever
 * symlinks lead it inside. Only the last component of what is done with it may come from outside,
 * by calls that do not follow it. Does nothing when there is no such folder.
 */
export function inFolderOfRoot(root: string, path: string, action: (folder: string) => void): void {
  withPath(root, path, (fd) => {
    if (fstatSync(fd).isDirectory()) action(`/proc/self/fd/${fd}`);
  });
}

/** As many as the kernel follows: path_resolution(7). */
const MAX_LINKS = 40;

/**
 * Whether a path inside `root`, with its symlinks followed there, is one of these absolute paths or below
 * one, whether it exists or not.
 */
export function leadsInto(root: string, path: string, places: readonly string[]): boolean {
  const wanted = new Set(places.map((place) => posix.resolve('/', place)));
  if (wanted.size === 0) return false;
  let done = '/';
  let left = path.split('/');
  for (let links = 0; left.length > 0 && links <= MAX_LINKS; ) {
    const [name = '', ...rest] = left;
    const next = posix.join(done, name);
    if (wanted.has(next)) return true;
    const link = next === done ? undefined : readLinkInRoot(root, done, name);
    done = link === undefined ? next : posix.isAbsolute(link) ? '/' : done;
    left = link === undefined ? rest : [...link.split('/'), ...rest];
    if (link !== undefined) links++;
  }
  return false;
}

/** Where a symlink leads; undefined for anything else. */
function readLinkInRoot(root: string, folder: string, name: string): string | undefined {
  if (name === '..') return undefined;
  let link: string | undefined;
  inFolderOfRoot(root, folder, (path) => {
    try {
      link = readlinkSync(`${path}/${name}`);
    } catch {
      // It is none, or is not there.
    }
  });
  return link;
}

/** Calls `action` with a path of this process that stands for `path` inside `root`, which exists. */
export function onPathOfRoot(root: string, path: string, action: (path: string) => void): void {
  const found = withPath(root, path, (fd) => {
    action(`/proc/self/fd/${fd}`);
    return true;
  });
  if (!found) throw new Error(`${path} leads nowhere inside ${root}`);
}
