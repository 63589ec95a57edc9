import { check, native } from '../os/syscalls.ts';

/** A socket that systemd has opened for this process: sd_listen_fds(3). */
export interface PassedSocket {
  readonly fd: number;
  readonly type: 'stream' | 'datagram' | 'other';
  /** As ListenStream= writes it; undefined for a socket of another family than IP. */
  readonly address: string | undefined;
  readonly port: number | undefined;
}

const FIRST_FD = 3;
const AF_INET = 2;
const AF_INET6 = 10;
const [SOL_SOCKET, SO_TYPE] = [1, 3];
const TYPES = ['other', 'stream', 'datagram'] as const;

/** The sockets that were passed to this process, in order; none are when they are another's. */
export function passedSockets(): PassedSocket[] {
  if (process.env['LISTEN_PID'] !== String(process.pid)) return [];
  const count = Number(process.env['LISTEN_FDS'] ?? 0);
  return Array.from({ length: count }, (_, index) => describe(FIRST_FD + index));
}

function describe(fd: number): PassedSocket {
  const of = `of passed descriptor ${fd}`;
  const option = new Int32Array([0]);
  const size = new Int32Array([4]);
  const getsockopt = native('int getsockopt(int fd, int level, int name, void *value, void *size)');
  const [value, length] = [Buffer.from(option.buffer), Buffer.from(size.buffer)];
  // A FIFO or a file may be passed as well: nobody asks for those.
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, value, length) < 0)
    return { fd, type: 'other', address: undefined, port: undefined };
  const name = Buffer.alloc(128);
  size[0] = name.length;
  const getsockname = native('int getsockname(int fd, void *address, void *size)');
  check(getsockname(fd, name, length), 'getsockname', of);
  return { fd, type: TYPES[option[0] ?? 0] ?? 'other', ...addressOf(name) };
}

/** struct sockaddr_in and sockaddr_in6: ip(7), ipv6(7). */
function addressOf(name: Buffer): Pick<PassedSocket, 'address' | 'port'> {
  const family = new Uint16Array(name.buffer, name.byteOffset, 1)[0];
  const port = name.readUInt16BE(2);
  if (family === AF_INET) return { address: `${name.subarray(4, 8).join('.')}:${port}`, port };
  if (family !== AF_INET6) return { address: undefined, port: undefined };
  const groups = Array.from({ length: 8 }, (_, at) => name.readUInt16BE(8 + 2 * at).toString(16));
  return { address: `[${groups.join(':')}]:${port}`, port };
}
