import { closeSync } from 'node:fs';
import { check, native } from './syscalls.ts';

const AF_UNIX = 1;
const SOCK_CLOEXEC = 0o2000000;
const TYPES = { stream: 1, datagram: 2 } as const;

/** A new socket: unix(7). */
export function unixSocket(type: keyof typeof TYPES, path: string): number {
  const socket = native('int socket(int domain, int type, int protocol)');
  return check(socket(AF_UNIX, TYPES[type] | SOCK_CLOEXEC, 0), 'socket', `for ${path}`);
}

/** struct sockaddr_un; a path that starts with `@` is an abstract name. */
export function unixAddress(path: string): Buffer {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`);
  return Buffer.concat([Buffer.from(new Uint16Array([AF_UNIX]).buffer), name]);
}

/** A descriptor of a connection, whose reads and writes wait. */
export function connectUnix(path: string): number {
  const fd = unixSocket('stream', path);
  const address = unixAddress(path);
  try {
    const connect = native('int connect(int fd, const void *address, unsigned int length)');
    check(connect(fd, address, address.length), 'connect', path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

const [SOL_SOCKET, SO_RCVTIMEO] = [1, 20];

/** Has reads of a connection wait for some milliseconds only, at least one: then, EAGAIN. */
export function limitReads(fd: number, limit: number): void {
  const set = native(
    'int setsockopt(int fd, int level, int name, const void *value, unsigned int size)',
  );
  const micros = Math.ceil(Math.max(limit, 1) * 1000);
  const time = Buffer.from(
    BigInt64Array.of(BigInt(Math.floor(micros / 1e6)), BigInt(micros % 1e6)).buffer,
  );
  check(set(fd, SOL_SOCKET, SO_RCVTIMEO, time, time.length), 'setsockopt', 'of a connection');
}
