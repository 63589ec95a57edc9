import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants as os } from 'node:os';
import { DomainError } from './error.ts';

/** A system call failed; `errno` is its name, such as `EBUSY`. */
export class SyscallError extends DomainError<string> {
  constructor(call: string, subject: string, errno: string) {
    super(errno, `${call} ${subject}: ${errno}`);
  }
}

export interface Native {
  (...args: unknown[]): number;
  /** The same on a thread of Node's pool; the last argument is called with what comes of it. */
  async(...args: unknown[]): void;
}
interface Koffi {
  load(path: string | null): { func(prototype: string): Native };
  errno(): number;
}

let koffi: Koffi | undefined;
let libc: ReturnType<Koffi['load']> | undefined;
const bound = new Map<string, Native>();

/** Binds one libc function on first use: loading koffi costs milliseconds that few commands need. */
export function native(prototype: string): Native {
  let call = bound.get(prototype);
  if (!call) {
    koffi ??= createRequire(import.meta.url)('koffi') as Koffi;
    libc ??= koffi.load(null);
    call = libc.func(prototype);
    bound.set(prototype, call);
  }
  return call;
}

/** Loads another library than libc, by its soname; undefined when this host does not have it. */
export function loadLibrary(soname: string): { func(prototype: string): Native } | undefined {
  koffi ??= createRequire(import.meta.url)('koffi') as Koffi;
  try {
    return koffi.load(soname);
  } catch {
    return undefined;
  }
}

/** EAGAIN has EWOULDBLOCK as a second name, which comes later. */
function lastErrno(): string {
  const errno = koffi?.errno() ?? 0;
  const [name] = Object.entries(os.errno).find(([, n]) => n === errno) ?? [];
  return name ?? `errno ${errno}`;
}

/** The result of a system call that has not failed; throws SyscallError, by errno, for one that has. */
export function check(result: number, call: string, subject: string): number {
  if (result >= 0) return result;
  throw new SyscallError(call, subject, lastErrno());
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
    const errno = lastErrno();
    if (errno === 'EINTR') continue;
    if (!wait && errno === 'EAGAIN') return false;
    throw new SyscallError('flock', `of descriptor ${fd}`, errno);
  }
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

const SYS_mount_setattr = 442;
const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const MOUNT_ATTR_RDONLY = 1;
const MOUNT_ATTR_NODEV = 4;

/** Device nodes below this mount, and below those in it, open nothing: mount_setattr(2). */
export function forbidDevices(target: string): void {
  setMountAttribute(target, MOUNT_ATTR_NODEV);
}

/** Makes a mount and those in it read-only, and leaves their other options: mount_setattr(2). */
export function makeReadOnly(target: string): void {
  setMountAttribute(target, MOUNT_ATTR_RDONLY);
}

function setMountAttribute(target: string, attribute: number): void {
  const call = native(
    'long syscall(long number, long dir, const char *path, long flags, void *attr, long size)',
  );
  const attr = new BigUint64Array([BigInt(attribute), 0n, 0n, 0n]);
  const set = Buffer.from(attr.buffer);
  check(
    call(SYS_mount_setattr, AT_FDCWD, target, AT_RECURSIVE, set, set.length),
    'mount_setattr',
    target,
  );
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

/** Has what is mounted later in this mount namespace appear in those made from it as well. */
export function shareMounts(): void {
  mount('none', '/', '', MS.REC | MS.SHARED);
}

const SYS_openat2 = 437;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_IN_ROOT = 0x10;
const MAX_TRIES = 1000;

/**
 * An O_PATH descriptor of a path as it is seen from inside `root`, or undefined when there is none:
 * openat2(2). The number of the call is the same on every architecture.
 */
export function openInRootFd(root: string, path: string): number | undefined {
  const call = native(
    'long syscall(long number, long dir, const char *path, void *how, long size)',
  );
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const how = new BigUint64Array([
      BigInt(O_PATH | O_CLOEXEC),
      0n,
      BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS),
    ]);
    const relative = path.replace(/^\/+/, '') || '.';
    let fd: number;
    let errno: string;
    let tries = 0;
    do {
      fd = call(SYS_openat2, rootFd, relative, Buffer.from(how.buffer), how.byteLength);
      if (fd >= 0) return fd;
      errno = lastErrno();
      // A rename or mount anywhere in the system at the same time makes `..` uncertain: try again.
    } while (errno === 'EAGAIN' && ++tries < MAX_TRIES);
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'].includes(errno)) return undefined;
    throw new SyscallError('openat2', `${path} in ${root}`, errno);
  } finally {
    closeSync(rootFd);
  }
}

/** fcntl(2) F_SETPIPE_SZ: how many bytes a pipe holds; what is over the system's limit is not done. */
export function setPipeSize(fd: number, bytes: number): void {
  native('int fcntl(int fd, int command, int flag)')(fd, 1031, bytes);
}

/** Moves the calling thread into the mount namespace behind an open descriptor: setns(2). */
export function enterMounts(fd: number): void {
  check(native('int setns(int fd, int type)')(fd, 0x00020000), 'setns', `to descriptor ${fd}`);
}

/** Sets an extended attribute of the file that an open descriptor is of: fsetxattr(2). */
export function setXattr(fd: number, name: string, value: string): void {
  const call = native(
    'int fsetxattr(int fd, const char *name, const char *value, size_t size, int flags)',
  );
  check(call(fd, name, value, Buffer.byteLength(value), 0), 'fsetxattr', name);
}

/** Lets two paths of one file system change places, at once: renameat2(2), RENAME_EXCHANGE. */
export function exchange(one: string, other: string): void {
  const call = native(
    'int renameat2(int onedir, const char *one, int otherdir, const char *other, unsigned int flags)',
  );
  check(call(AT_FDCWD, one, AT_FDCWD, other, 2), 'renameat2', `of ${one} and ${other}`);
}

/**
 * Makes a network namespace with its loopback up, and gives an open descriptor of it; this process
 * stays where it is. The namespace lives as long as that descriptor or a process in it.
 */
export function makeNetworkNamespace(): number {
  const setns = native('int setns(int fd, int type)');
  const before = openSync('/proc/self/ns/net', 'r');
  try {
    check(native('int unshare(int flags)')(CLONE_NEWNET), 'unshare', 'of the network namespace');
    try {
      raiseLoopback();
      return openSync('/proc/self/ns/net', 'r');
    } finally {
      check(setns(before, CLONE_NEWNET), 'setns', 'to the network namespace before');
    }
  } finally {
    closeSync(before);
  }
}

const CLONE_NEWNET = 0x40000000;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP_RUNNING = 0x41;

/** netdevice(7): the flags of an interface stand behind the 16 bytes of its name. */
function raiseLoopback(): void {
  const AF_INET = 2;
  const SOCK_DGRAM_CLOEXEC = 2 | O_CLOEXEC;
  const socket = native('int socket(int domain, int type, int protocol)');
  const fd = check(socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), 'socket', 'for the loopback');
  const request = Buffer.alloc(40);
  request.write('lo');
  request.writeInt16LE(IFF_UP_RUNNING, 16);
  const ioctl = native('int ioctl(int fd, unsigned long request, void *argument)');
  try {
    check(ioctl(fd, SIOCSIFFLAGS, request), 'ioctl SIOCSIFFLAGS', 'lo');
  } finally {
    closeSync(fd);
  }
}

/** Makes all of a file system's data durable: syncfs(2). */
export function syncfs(fd: number): void {
  check(native('int syncfs(int fd)')(fd), 'syncfs', `of descriptor ${fd}`);
}

/** The same, while other work goes on. */
export async function syncfsAsync(fd: number): Promise<void> {
  const call = native('int syncfs(int fd)');
  await new Promise<void>((resolve, reject) => {
    call.async(fd, (error: Error | null, result: number) => {
      try {
        if (error) throw error;
        check(result, 'syncfs', `of descriptor ${fd}`);
        resolve();
      } catch (failure) {
        reject(failure);
      }
    });
  });
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

/** A pipe's [read end, write end], closed in children unless they are handed over: pipe2(2). */
export function pipe(): [number, number] {
  const ends = new Int32Array(2);
  const call = native('int pipe2(void *ends, int flags)');
  check(call(Buffer.from(ends.buffer), O_CLOEXEC), 'pipe2', 'of two ends');
  return [ends[0] ?? -1, ends[1] ?? -1];
}

/** Makes a FIFO: mkfifo(3). */
export function mkfifo(path: string, mode: number): void {
  check(native('int mkfifo(const char *path, unsigned int mode)')(path, mode), 'mkfifo', path);
}

/** Makes `to` another descriptor of what `from` has open: dup2(2). */
export function dup2(from: number, to: number): void {
  check(native('int dup2(int from, int to)')(from, to), 'dup2', `of descriptor ${from}`);
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
  // For SIGKILL and SIGSTOP, which are nobody's to set, it does nothing.
  for (let n = 1; n <= 64; n++) signal(n, null);
  const vector = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const call = native('int execve(const char *path, const char **argv, const char **envp)');
  check(call(path, [...argv, null], [...vector, null]), 'execve', path);
  throw new SyscallError('execve', path, 'returned');
}

const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2, EXEC: 0x10 } as const;
const F_ADD_SEALS = 1033;
/** No change of size, no writing, no further seals. */
const ALL_SEALS = 1 | 2 | 4 | 8;

/**
 * A descriptor of an executable that exists in memory alone and that nobody can change any more, not
 * even by /proc/PID/exe: memfd_create(2), fcntl(2) F_ADD_SEALS.
 */
export function sealedProgram(program: Uint8Array): number {
  const create = native('int memfd_create(const char *name, unsigned int flags)');
  const flags = MFD.CLOEXEC | MFD.ALLOW_SEALING;
  // Kernels before 6.3 know no MFD_EXEC, later ones may ask for it.
  const modern = create('rkt', flags | MFD.EXEC);
  const fd = check(modern < 0 ? create('rkt', flags) : modern, 'memfd_create', 'rkt');
  try {
    writeSync(fd, program);
    const seal = native('int fcntl(int fd, int command, int flag)');
    check(seal(fd, F_ADD_SEALS, ALL_SEALS), 'fcntl', 'F_ADD_SEALS');
    // What is open for writing is not executed.
    return openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY);
  } finally {
    closeSync(fd);
  }
}

const PTRACE = {
  DETACH: 17,
  SEIZE: 0x4206,
  INTERRUPT: 0x4207,
  SECCOMP_GET_FILTER: 0x420c,
  SECCOMP_GET_METADATA: 0x420d,
} as const;
const PTRACE_EVENT_STOP = 128;
const WALL = 0x4000_0000;

/** A seccomp filter of a process: its instructions (struct sock_filter), and the flags it was set with. */
export interface InstalledFilter {
  readonly instructions: Buffer;
  readonly flags: bigint;
}

/**
 * The seccomp filters of a process, in the order in which they were installed. It is halted for that
 * while: ptrace(2), PTRACE_SECCOMP_GET_FILTER. Needs CAP_SYS_ADMIN and no filter on the caller.
 */
export function seccompFilters(pid: number): InstalledFilter[] {
  const ptrace = native('long ptrace(long request, long pid, long address, void *data)');
  const of = `of process ${pid}`;
  check(ptrace(PTRACE.SEIZE, pid, 0, null), 'ptrace', of);
  let signal = 0;
  try {
    check(ptrace(PTRACE.INTERRUPT, pid, 0, null), 'ptrace', of);
    const status = new Int32Array(1);
    const wait = native('int waitpid(int pid, void *status, int options)');
    check(wait(pid, Buffer.from(status.buffer), WALL), 'waitpid', of);
    // A signal that came first is held back for us, and has to be given back.
    if ((status[0] ?? 0) >> 16 !== PTRACE_EVENT_STOP) signal = ((status[0] ?? 0) >> 8) & 0xff;
    const filters: InstalledFilter[] = [];
    for (let index = 0; ; index++) {
      const length = ptrace(PTRACE.SECCOMP_GET_FILTER, pid, index, null);
      if (length < 0 && lastErrno() === 'ENOENT') return filters;
      const instructions = Buffer.alloc(check(length, 'ptrace', of) * 8);
      check(ptrace(PTRACE.SECCOMP_GET_FILTER, pid, index, instructions), 'ptrace', of);
      const metadata = new BigUint64Array([BigInt(index), 0n]);
      const bytes = Buffer.from(metadata.buffer);
      check(ptrace(PTRACE.SECCOMP_GET_METADATA, pid, bytes.length, bytes), 'ptrace', of);
      filters.push({ instructions, flags: metadata[1] ?? 0n });
    }
  } finally {
    const detach = native('long ptrace(long request, long pid, long address, long data)');
    detach(PTRACE.DETACH, pid, 0, signal);
  }
}

const SYS_keyctl = { x64: 250, arm64: 219 } as const;

/**
 * Gives this thread, and processes that it starts, a session keyring of their own, so that the
 * caller's keys stay behind: keyctl(2). What the kernel does not have, or not for us, nobody can use.
 */
export function leaveSessionKeyring(): void {
  const number = process.arch === 'arm64' ? SYS_keyctl.arm64 : SYS_keyctl.x64;
  const call = native('long syscall(long number, long operation, const char *name)');
  if (call(number, 1, null) >= 0) return;
  const errno = lastErrno();
  if (errno !== 'ENOSYS' && errno !== 'EPERM')
    throw new SyscallError('keyctl', 'for a session keyring', errno);
}

const TIOC = { SWINSZ: 0x5414, SPTLCK: 0x4004_5431, GPTPEER: 0x5441 } as const;

/** Unlocks a new pseudo-terminal, and opens its other end without a path: ioctl_tty(2). */
export function openTerminalPeer(main: number): number {
  const set = native('int ioctl(int fd, unsigned long request, void *argument)');
  check(set(main, TIOC.SPTLCK, Buffer.alloc(4)), 'ioctl', 'TIOCSPTLCK');
  const open = native('int ioctl(int fd, unsigned long request, long argument)');
  const flags = constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC;
  return check(open(main, TIOC.GPTPEER, flags), 'ioctl', 'TIOCGPTPEER');
}

/** More than any struct termios has. */
const TERMIOS = 256;

/**
 * Makes a terminal pass on every byte as it is, in both directions; gives what undoes it: termios(3).
 * Node's raw mode leaves output processed.
 */
export function makeRaw(fd: number): () => void {
  const before = Buffer.alloc(TERMIOS);
  const get = native('int tcgetattr(int fd, void *termios)');
  const set = native('int tcsetattr(int fd, int actions, const void *termios)');
  check(get(fd, before), 'tcgetattr', `of descriptor ${fd}`);
  const raw = Buffer.from(before);
  native('void cfmakeraw(void *termios)')(raw);
  check(set(fd, TCSADRAIN, raw), 'tcsetattr', `of descriptor ${fd}`);
  return () => {
    set(fd, TCSADRAIN, before);
  };
}

const TCSADRAIN = 1;

/** Tells a terminal, and who runs in it, its size in characters: ioctl_tty(2). */
export function setWindowSize(fd: number, rows: number, columns: number): void {
  const call = native('int ioctl(int fd, unsigned long request, void *argument)');
  const size = Buffer.from(new Uint16Array([rows, columns, 0, 0]).buffer);
  check(call(fd, TIOC.SWINSZ, size), 'ioctl', 'TIOCSWINSZ');
}
