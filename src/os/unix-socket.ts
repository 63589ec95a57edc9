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

const [SOL_SOCKET, SO_RCVTIMEO] = [1, 20];

/** A descriptor of a connection, whose writes wait, and whose reads do so for some seconds: then, EAGAIN. */
export function connectUnix(path: string, timeout: number): number {
  const fd = unixSocket('stream', path);
  const address = unixAddress(path);
  try {
    const connect = native('int connect(int fd, const void *address, unsigned int length)');
    check(connect(fd, address, address.length), 'connect', path);
    const set = native(
      'int setsockopt(int fd, int level, int name, const void *value, unsigned int size)',
    );
    const time = Buffer.from(BigInt64Array.of(BigInt(timeout), 0n).buffer);
    check(set(fd, SOL_SOCKET, SO_RCVTIMEO, time, time.length), 'setsockopt', path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}
