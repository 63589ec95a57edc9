import { check, native } from './syscalls.ts';

const SYS = { open_tree: 428, move_mount: 429 } as const;
const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOVE_MOUNT_T_SYMLINKS = 0x10;

/**
 * A descriptor of a copy of what is mounted at `source`, and below it if `recursive`, that is mounted
 * nowhere yet: open_tree(2).
 */
export function cloneTree(source: string, recursive: boolean): number {
  const open = native('long syscall(long number, long dir, const char *path, long flags)');
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
  return check(open(SYS.open_tree, AT_FDCWD, source, flags), 'open_tree', source);
}

/**
 * Mounts such a copy, in whatever mount namespace the caller is by now: move_mount(2). A symlink at the
 * end of `target` is not followed, unless it is the path of a descriptor.
 */
export function attachTree(tree: number, target: string): void {
  const move = native(
    'long syscall(long number, long from, const char *path, long to, const char *target, long flags)',
  );
  const follow = target.startsWith('/proc/self/fd/') ? MOVE_MOUNT_T_SYMLINKS : 0;
  const flags = MOVE_MOUNT_F_EMPTY_PATH | follow;
  const moved = move(SYS.move_mount, tree, '', AT_FDCWD, target, flags);
  check(moved, 'move_mount', target);
}
