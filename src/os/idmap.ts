import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { attachTree, cloneTree } from './mount-tree.ts';
import { check, native, pipe, SyscallError } from './syscalls.ts';

/** Host ids `shift` to `shift + count - 1` are the ids from 0 of a user namespace. */
export interface IdRange {
  readonly shift: number;
  readonly count: number;
}

/**
 * The id on disk that the host's root has behind a mapped mount, so that it can still make files
 * there: the highest that no user has, as systemd has it (UIDS-GIDS, "Special systemd UID ranges").
 */
const HOST_ROOT = 2_147_483_646;

/**
 * Calls `action` with a descriptor of a user namespace that stands for a range of ids: what has id N
 * on disk has `shift` + N behind a mount that `mapMount` makes with it.
 */
export function withIdMap<T>({ shift, count }: IdRange, action: (ids: number) => T): T {
  const [hold, release] = pipe();
  const [told, tell] = pipe();
  // A process of many threads cannot make one itself: unshare(2), EINVAL.
  const argv = ['--user', 'sh', '-c', 'echo; read -r _'];
  const child = spawn('unshare', argv, { stdio: [hold, tell, 'ignore'] });
  child.unref();
  child.on('error', () => {});
  closeSync(hold);
  closeSync(tell);
  try {
    if (child.pid === undefined || readSync(told, Buffer.alloc(1)) === 0)
      throw new Error(
        'cannot make a user namespace: the kernel has none, or unshare(1) is missing',
      );
    const proc = `/proc/${child.pid}`;
    const map = `0 ${shift} ${count}\n${HOST_ROOT} 0 1\n`;
    for (const file of ['uid_map', 'gid_map']) writeFileSync(`${proc}/${file}`, map);
    const ids = openSync(`${proc}/ns/user`, 'r');
    try {
      return action(ids);
    } finally {
      closeSync(ids);
    }
  } finally {
    closeSync(release);
    closeSync(told);
    // What this process becomes must not have a child that it does not know.
    if (child.pid !== undefined)
      native('int waitpid(int pid, void *status, int options)')(child.pid, null, 0);
  }
}

const SYS_MOUNT_SETATTR = 442;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const MOUNT_ATTR_IDMAP = 0x0010_0000n;

/** Whether mounts of a folder's file system can have their ids mapped. */
export function canMapMount(folder: string, ids: number): boolean {
  let tree: number | undefined;
  try {
    tree = cloneTree(folder, false);
    mapTree(tree, folder, ids, 0);
    return true;
  } catch (error) {
    if (error instanceof SyscallError && ['EINVAL', 'EPERM'].includes(error.code)) return false;
    throw error;
  } finally {
    if (tree !== undefined) closeSync(tree);
  }
}

/** How far a mapping goes: what is mounted below is left out, comes along, or is mapped as well. */
export type MapDepth = 'alone' | 'top' | 'all';

/**
 * Mounts `source` once more, at `target`, which may be the same, with its ids mapped:
 * mount_setattr(2), "ID-mapped mounts".
 *
 * @throws SyscallError `EINVAL` where a file system or the kernel has no such mounts, `EPERM` where it
 *   is mapped already
 */
export function mapMount(source: string, target: string, ids: number, depth: MapDepth): void {
  const tree = cloneTree(source, depth !== 'alone');
  try {
    mapTree(tree, source, ids, depth === 'all' ? AT_RECURSIVE : 0);
    attachTree(tree, target);
  } finally {
    closeSync(tree);
  }
}

function mapTree(tree: number, source: string, ids: number, flags: number): void {
  const attr = new BigUint64Array([MOUNT_ATTR_IDMAP, 0n, 0n, BigInt(ids)]);
  const set = Buffer.from(attr.buffer);
  const change = native(
    'long syscall(long number, long dir, const char *path, long flags, void *attr, long size)',
  );
  const changed = change(SYS_MOUNT_SETATTR, tree, '', AT_EMPTY_PATH | flags, set, set.length);
  check(changed, 'mount_setattr', source);
}
