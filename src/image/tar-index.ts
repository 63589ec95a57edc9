import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { posix } from 'node:path';
import type { ByteRange } from './byte-range.ts';
import { ImageError } from './error.ts';
import { reason } from './store.ts';
import { BLOCK, badTar, isZeroBlock, parseHeader, parsePax, paxSize } from './tar-headers.ts';

/** Archives of images have a few hundred members; a rootfs is no such archive. */
const memberLimit = 100_000;
/** Long names and PAX records of one member. */
const extensionLimit = 1024 * 1024;
const linkLimit = 8;

type Member = ({ kind: 'file' } & ByteRange) | { kind: 'link'; target: string };

/** Where the members of an uncompressed tar file stand in it. */
export interface TarIndex {
  /** The bytes of a regular file by its name, through links inside the archive, or undefined. */
  find(name: string): ByteRange | undefined;
}

/**
 * Indexes an uncompressed tar by jumping from header to header: content is neither read nor
 * unpacked, names never reach the file system. The last member of a name counts, as with tar(1).
 *
 * @throws ImageError `bad-image` when it is no tar, damaged or truncated, `io`
 */
export function indexTar(path: string): TarIndex {
  const members = readMembers(path);
  return {
    find(name) {
      let at = inArchive(name);
      for (let links = 0; links <= linkLimit; links++) {
        const member = members.get(at);
        if (member?.kind !== 'link') return member;
        at = member.target;
      }
      throw new ImageError('bad-image', `import ${path}: too many links lead on from "${name}"`);
    },
  };
}

/** A name below the archive's root, without a leading slash; `..` ends at the root. */
function inArchive(...parts: string[]): string {
  return posix.join('/', ...parts).replace(/^\/|\/$/g, '');
}

function readMembers(path: string): Map<string, Member> {
  try {
    const fd = openSync(path, 'r');
    try {
      return walk(path, fd, fstatSync(fd).size);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const code = error instanceof ImageError ? error.code : 'io';
    throw new ImageError(code, `import ${path}: ${reason(error)}`, error);
  }
}

function walk(path: string, fd: number, end: number): Map<string, Member> {
  const read = (offset: number, size: number): Buffer => {
    const bytes = Buffer.alloc(size);
    if (offset + size > end || readSync(fd, bytes, 0, size, offset) !== size)
      throw badTar(`it is truncated at byte ${end}`);
    return bytes;
  };

  const members = new Map<string, Member>();
  let pax = new Map<string, string>();
  // Some writers leave out the two empty blocks at the end.
  for (let at = 0; at < end; ) {
    const block = read(at, BLOCK);
    if (isZeroBlock(block)) break;
    const header = parseHeader(block);
    const extension = 'xgLK'.includes(header.type);
    const paxed = extension ? undefined : pax.get('size');
    const size = paxed === undefined ? header.size : paxSize(paxed);
    const offset = at + BLOCK;
    if (offset + size > end) throw badTar(`it is truncated at byte ${end}`);
    at = offset + Math.ceil(size / BLOCK) * BLOCK;

    if (extension) {
      if (size > extensionLimit) throw badTar(`it has an extended header of ${size} bytes`);
      for (const [key, value] of readExtension(header.type, read(offset, size)))
        pax.set(key, value);
      continue;
    }
    if (members.size >= memberLimit) throw badTar(`it has more than ${memberLimit} members`);
    const name = inArchive(pax.get('path') ?? header.name);
    const target = pax.get('linkpath') ?? header.linkName;
    const sparse =
      header.type === 'S' || [...pax.keys()].some((key) => key.startsWith('GNU.sparse.'));
    pax = new Map();
    if (header.type === '0' && !sparse) members.set(name, { kind: 'file', path, offset, size });
    else if (header.type === '1') members.set(name, { kind: 'link', target: inArchive(target) });
    else if (header.type === '2')
      members.set(name, { kind: 'link', target: inArchive(posix.dirname(name), target) });
  }
  return members;
}

/** What an extended header says of the member that follows, in the words of pax. */
function readExtension(type: string, body: Buffer): Iterable<[string, string]> {
  const long = () => body.toString('latin1').replace(/\0.*$/s, '');
  switch (type) {
    case 'x':
      return parsePax(body);
    case 'L':
      return [['path', long()]];
    case 'K':
      return [['linkpath', long()]];
    default:
      return [];
  }
}
