import { closeSync } from 'node:fs';
import { check, native } from '../os/syscalls.ts';
import { unixAddress, unixSocket } from '../os/unix-socket.ts';

const MSG_NOSIGNAL_DONTWAIT = 0x4000 | 0x40;

/** Sends one datagram to a socket of unix(7); a path that starts with `@` is an abstract name. */
export function sendDatagram(path: string, data: Buffer): void {
  const fd = unixSocket('datagram', path);
  try {
    const address = unixAddress(path);
    const send = native(
      'long sendto(int fd, const void *data, size_t size, int flags, const void *address, unsigned int length)',
    );
    const sent = send(fd, data, data.length, MSG_NOSIGNAL_DONTWAIT, address, address.length);
    check(sent, 'sendto', path);
  } finally {
    closeSync(fd);
  }
}

type Notifier = (state: string) => void;

let notifier: Notifier | undefined;

/** From now on this process notifies by `other`: native.ts. */
export function notifyBy(other: Notifier): void {
  notifier = other;
}

/** sd_notify(3): tells the service manager of `NAME=VALUE`s; nothing where there is none to tell. */
export function notify(...state: readonly string[]): void {
  const path = process.env['NOTIFY_SOCKET'];
  if (!path) return;
  try {
    const text = state.join('\n');
    if (notifier) notifier(text);
    else sendDatagram(path, Buffer.from(text));
  } catch {
    // Who does not listen is not told; the work goes on.
  }
}

/** In milliseconds: how much time a start gets by each word, and how often that is said. */
const EXTENSION = 90_000;
const INTERVAL = 10_000;

/**
 * Does work that a unit's start timeout is not meant for: as long as it goes on the timeout is put
 * off, and after it there is as much time as systemd's default grants a start.
 */
export async function withoutStartTimeout<T>(status: string, work: () => Promise<T>): Promise<T> {
  if (!process.env['NOTIFY_SOCKET']) return work();
  const extend = `EXTEND_TIMEOUT_USEC=${EXTENSION * 1000}`;
  notify(extend, `STATUS=${status}`);
  const timer = setInterval(() => notify(extend), INTERVAL);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    notify(extend, 'STATUS=');
  }
}
