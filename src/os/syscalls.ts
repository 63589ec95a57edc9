import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { DomainError } from './error.ts';

/** A system call failed; `errno` is its name, such as `EBUSY`. */
export class SyscallError extends DomainError<string> {
  constructor(call: string, subject: string, errno: string) {
    super(errno, `${call} ${subject}: ${errno}`);
  }
}

type Native = (...args: unknown[]) => number;
interface Koffi {
  load(path: string | null): { func(prototype: string): Native };
  errno(): number;
}

let koffi: Koffi | undefined;
let libc: ReturnType<Koffi['load']> | undefined;
const bound = new Map<string, Native>();

/** Binds one libc function on first use: loading koffi costs milliseconds that few commands need. */
function native(prototype: string): Native {
  let call = bound.get(prototype);
  if (!call) {
    koffi ??= createRequire(import.meta.url)('koffi') as Koffi;
    libc ??= koffi.load(null);
    call = libc.func(prototype);
    bound.set(prototype, call);
  }
  return call;
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, n]) => [n, name]));

function check(result: number, call: string, subject: string): number {
  if (result >= 0) return result;
  const errno = koffi?.errno() ?? 0;
  throw new SyscallError(call, subject, errnoNames.get(errno) ?? `errno ${errno}`);
}

const LOCK = { shared: 1, exclusive: 2 } as const;
const LOCK_NB = 4;

/**
 * Takes an advisory lock on an open descriptor: flock(2). Without `wait`, false means that another
 * process holds it. The lock ends with the last descriptor of that open file.
 */
export function flock(fd: number, kind: keyof typeof LOCK, wait: boolean): boolean {
  const operation = LOCK[kind] | (wait ? 0 : LOCK_NB);
  const call = native('int flock(int fd, int operation)');
  for (;;) {
    if (call(fd, operation) === 0) return true;
    const errno = koffi?.errno() ?? 0;
    if (errno === constants.errno.EINTR) continue;
    if (!wait && errno === constants.errno.EAGAIN) return false;
    check(-1, 'flock', `of descriptor ${fd}`);
  }
}

/** Gives up a lock before its descriptor is closed: flock(2). */
export function unlock(fd: number): void {
  check(native('int flock(int fd, int operation)')(fd, 8), 'unlock', `of descriptor ${fd}`);
}

/** mount(2) flags. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  BIND: 4096,
  REC: 16384,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
} as const;

/** mount(2). The process must own its mount namespace (see `unshareMounts`). */
export function mount(source: string, target: string, type = '', flags = 0, options = ''): void {
  const call = native(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
  );
  check(call(source, target, type || null, flags, options || null), 'mount', target);
}

/** umount2(2) with MNT_DETACH and UMOUNT_NOFOLLOW. */
export function unmount(target: string): void {
  check(native('int umount2(const char *target, int flags)')(target, 2 | 8), 'unmount', target);
}

/**
 * Gives the process a mount namespace of its own, whose mounts never reach the host while the
 * host's still reach it. Only synchronous fs calls and child processes see it afterwards: the
 * thread pool stays where it was.
 */
export function unshareMounts(): void {
  check(native('int unshare(int flags)')(0x00020000), 'unshare', 'of the mount namespace');
  mount('none', '/', '', MS.REC | MS.SLAVE);
}

/** Makes all of a file system's data durable: syncfs(2). */
export function syncfs(fd: number): void {
  check(native('int syncfs(int fd)')(fd), 'syncfs', `of descriptor ${fd}`);
}

/** fcntl(2) F_SETFD: whether the descriptor closes at the next execve. */
export function setCloexec(fd: number, on: boolean): void {
  const call = native('int fcntl(int fd, int command, int flag)');
  check(call(fd, 2, on ? 1 : 0), 'fcntl', `of descriptor ${fd}`);
}

/** chroot(2), followed by chdir to its root. */
export function chroot(root: string): void {
  check(native('int chroot(const char *path)')(root), 'chroot', root);
  process.chdir('/');
}

/**
 * Replaces this process by another program: same pid, same descriptors 0 to 2, and those of
 * `keepOpen`. Node closes its own descriptors at exec and leaves some signals ignored, so both are
 * put back to what a shell's child would have. Returns only by throwing: execve(2).
 */
export function execve(
  path: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  keepOpen: readonly number[] = [],
): never {
  for (const fd of [0, 1, 2, ...keepOpen]) setCloexec(fd, false);
  const signal = native('void *signal(int signum, void *handler)');
  for (let n = 1; n <= 64; n++)
    if (n !== constants.signals.SIGKILL && n !== constants.signals.SIGSTOP) signal(n, null);
  const vector = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const call = native('int execve(const char *path, const char **argv, const char **envp)');
  check(call(path, [...argv, null], [...vector, null]), 'execve', path);
  throw new SyscallError('execve', path, 'returned');
}
