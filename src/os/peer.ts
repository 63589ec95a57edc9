import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { check, native } from './syscalls.ts';

/** The process that connected a Unix socket. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  /** Clock ticks since the boot, which tell it from another process that gets its pid later. */
  readonly startTime: bigint;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Who is at the other end: SO_PEERCRED, unix(7). Throws when that process has ended already. */
export function peerOf(socket: Socket): Peer {
  const credentials = Buffer.alloc(12);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(credentials.length);
  const call = native('int getsockopt(int fd, int level, int name, void *value, void *size)');
  check(
    call(fdOf(socket), SOL_SOCKET, SO_PEERCRED, credentials, size),
    'getsockopt',
    'SO_PEERCRED',
  );
  const pid = credentials.readInt32LE(0);
  return { pid, uid: credentials.readUInt32LE(4), startTime: startTime(pid) };
}

/** poll(2). */
const POLLERR = 0x8;
const POLLHUP = 0x10;

/**
 * Whether nobody is at the other end of a Unix socket any more. Who has only said all that they had to
 * say, by shutdown(2), still is: Node emits `end` for both.
 */
export function hasHungUp(socket: Socket): boolean {
  const fd = fdOf(socket);
  if (fd < 0) return true;
  // struct pollfd: int fd, short events, short revents; these two are always told.
  const asked = Buffer.alloc(8);
  asked.writeInt32LE(fd);
  const call = native('int poll(void *fds, unsigned long count, int timeout)');
  check(call(asked, 1, 0), 'poll', 'of a socket');
  return (asked.readInt16LE(6) & (POLLERR | POLLHUP)) !== 0;
}

/** -1 for one that is closed. */
function fdOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle?: { fd: number } | null };
  return handle?.fd ?? -1;
}

/** proc_pid_stat(5), field 22. The name in field 2 may hold anything, a parenthesis too. */
function startTime(pid: number): bigint {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return BigInt(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '');
}
