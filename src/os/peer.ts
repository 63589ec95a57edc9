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
  const { _handle: handle } = socket as unknown as { _handle?: { fd: number } };
  const credentials = Buffer.alloc(12);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(credentials.length);
  const call = native('int getsockopt(int fd, int level, int name, void *value, void *size)');
  const fd = handle?.fd ?? -1;
  check(call(fd, SOL_SOCKET, SO_PEERCRED, credentials, size), 'getsockopt', 'SO_PEERCRED');
  const pid = credentials.readInt32LE(0);
  return { pid, uid: credentials.readUInt32LE(4), startTime: startTime(pid) };
}

/** proc_pid_stat(5), field 22. The name in field 2 may hold anything, a parenthesis too. */
function startTime(pid: number): bigint {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return BigInt(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '');
}
