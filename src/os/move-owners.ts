import { chmodSync, closeSync, constants, fstatSync, openSync, readdirSync } from 'node:fs';
import { check, native } from './syscalls.ts';

/** Ids `from` to `from + count - 1` become those from `to`; the two ranges have nothing in common. */
export interface IdMove {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

const { O_NOFOLLOW, O_DIRECTORY, O_RDONLY } = constants;
const O_PATH = 0o10000000;
const AT_EMPTY_PATH = 0x1000;

/**
 * Gives a folder, and all that is in it, to other users: owners, those whom ACLs name, and the root
 * whose namespace a file's capabilities are for. Ids out of the range stay as they are, so that to do it
 * again changes nothing. It goes from descriptor to descriptor and follows no link.
 *
 * @throws SyscallError
 */
export function moveOwners(folder: string, move: IdMove): void {
  const fd = openSync(folder, O_PATH | O_NOFOLLOW | O_DIRECTORY);
  try {
    moveEntry(fd, move);
  } finally {
    closeSync(fd);
  }
}

function moveEntry(fd: number, move: IdMove): void {
  const path = `/proc/self/fd/${fd}`;
  const stats = fstatSync(fd);
  const { uid, gid, mode } = stats;
  // Before chown(2), which takes capabilities and the setuid bit away.
  const attributes = stats.isSymbolicLink() ? [] : attributesWithIds(path);
  const owner = movedId(uid, move);
  const group = movedId(gid, move);
  if (owner !== uid || group !== gid) {
    const chown = native(
      'int fchownat(int fd, const char *path, unsigned int uid, unsigned int gid, int flags)',
    );
    check(chown(fd, '', owner, group, AT_EMPTY_PATH), 'fchownat', 'of a file');
    if (stats.isFile() && (mode & 0o6000) !== 0) chmodSync(path, mode & 0o7777);
  }
  for (const { name, value } of attributes)
    setAttribute(path, name, movedAttribute(value, name, move));
  if (stats.isDirectory()) for (const name of namesIn(path)) moveNamed(path, name, move);
}

/** Names are bytes: not all are UTF-8. */
function namesIn(path: string): Buffer[] {
  return readdirSync(path, { encoding: 'buffer' });
}

function moveNamed(folder: string, name: Buffer, move: IdMove): void {
  const fd = openSync(
    Buffer.concat([Buffer.from(`${folder}/`), name]),
    O_RDONLY | O_PATH | O_NOFOLLOW,
  );
  try {
    moveEntry(fd, move);
  } finally {
    closeSync(fd);
  }
}

function movedId(id: number, { from, to, count }: IdMove): number {
  return id >= from && id < from + count ? id - from + to : id;
}

const CAPABILITY = 'security.capability';
const ACLS = ['system.posix_acl_access', 'system.posix_acl_default'];

interface Attribute {
  readonly name: string;
  readonly value: Buffer;
}

/** XATTR_LIST_MAX and XATTR_SIZE_MAX, linux/limits.h. */
const scratch = Buffer.allocUnsafe(65_536);

function attributesWithIds(path: string): Attribute[] {
  const list = native('long listxattr(const char *path, void *list, size_t size)');
  const size = list(path, scratch, scratch.length);
  if (size <= 0) return [];
  const names = scratch.toString('latin1', 0, size).split('\0');
  return [CAPABILITY, ...ACLS]
    .filter((name) => names.includes(name))
    .map((name) => read(path, name));
}

function read(path: string, name: string): Attribute {
  const get = native('long getxattr(const char *path, const char *name, void *value, size_t size)');
  const size = check(get(path, name, scratch, scratch.length), 'getxattr', name);
  return { name, value: Buffer.from(scratch.subarray(0, size)) };
}

function setAttribute(path: string, name: string, value: Buffer): void {
  const set = native(
    'int setxattr(const char *path, const char *name, void *value, size_t size, int flags)',
  );
  check(set(path, name, value, value.length, 0), 'setxattr', name);
}

function movedAttribute(value: Buffer, name: string, move: IdMove): Buffer {
  return name === CAPABILITY ? movedCapability(value, move) : movedAcl(value, move);
}

const [REVISION_2, REVISION_3, REVISION_MASK] = [0x0200_0000, 0x0300_0000, 0xff00_0000];
/** Where revision 3 has the root that a file's capabilities are for; in revision 2 it is the host's. */
const ROOT_AT = 20;

/** struct vfs_ns_cap_data, linux/capability.h. */
function movedCapability(value: Buffer, move: IdMove): Buffer {
  const magic = value.readUInt32LE(0);
  const revision = (magic & REVISION_MASK) >>> 0;
  if (revision !== REVISION_2 && revision !== REVISION_3) return value;
  const root = movedId(revision === REVISION_3 ? value.readUInt32LE(ROOT_AT) : 0, move);
  const moved = Buffer.alloc(root === 0 ? ROOT_AT : ROOT_AT + 4);
  value.copy(moved, 0, 0, ROOT_AT);
  moved.writeUInt32LE(((magic & ~REVISION_MASK) | (root === 0 ? REVISION_2 : REVISION_3)) >>> 0, 0);
  if (root !== 0) moved.writeUInt32LE(root, ROOT_AT);
  return moved;
}

/** ACL_USER and ACL_GROUP are what names somebody: linux/posix_acl.h. */
const NAMED = [0x02, 0x08];

/** struct posix_acl_xattr_header and its entries (tag, permissions, id), linux/posix_acl_xattr.h. */
function movedAcl(value: Buffer, move: IdMove): Buffer {
  const moved = Buffer.from(value);
  for (let at = 4; at + 8 <= value.length; at += 8)
    if (NAMED.includes(value.readUInt16LE(at)))
      moved.writeUInt32LE(movedId(value.readUInt32LE(at + 4), move), at + 4);
  return moved;
}
