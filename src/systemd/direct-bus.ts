import { closeSync, readSync, writeSync } from 'node:fs';
import { errnoOf } from '../os/error.ts';
import { connectUnix } from '../os/unix-socket.ts';
import { SystemdError } from './error.ts';
import { decodeMessage, encodeCall, type Message, type MethodCall, text, textsIn } from './wire.ts';

const DBUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
};

/**
 * The system bus for a start, which sends its calls at once and asks for the answers when there is
 * nothing left to do: no library, no event loop. Everything else uses SystemBus (bus.ts).
 */
export class DirectBus {
  readonly #fd: number;
  #serial = 0;
  #received = Buffer.alloc(0);
  #isGreeted = false;

  /**
   * @param timeout how long to wait for something to come, in seconds
   * @throws SystemdError `no-bus` when nobody listens
   */
  constructor(path = '/run/dbus/system_bus_socket', timeout = 90) {
    try {
      this.#fd = connectUnix(path, timeout);
    } catch (error) {
      throw new SystemdError('no-bus', 'cannot connect to the system bus: is dbus running?', error);
    }
    // D-Bus specification, "Authentication Protocol": who this is the kernel tells.
    writeSync(this.#fd, '\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n');
    this.send({ ...DBUS, member: 'Hello' });
  }

  /** Sends a call; gives its serial. */
  send(call: MethodCall): number {
    this.#serial += 1;
    const message = encodeCall(this.#serial, call);
    for (let sent = 0; sent < message.length; ) sent += writeSync(this.#fd, message, sent);
    return this.#serial;
  }

  /** Has the signals delivered that a rule matches. */
  subscribe(rule: string): void {
    this.send({ ...DBUS, member: 'AddMatch', signature: 's', body: [text(rule)] });
  }

  /**
   * Waits for the message that is looked for.
   *
   * @throws SystemdError `refused` when any call has failed, `timeout` when nothing comes, `no-bus` at the connection's end
   */
  wait(isWanted: (message: Message) => boolean): Message {
    for (;;) {
      const message = this.#take();
      if (message?.kind === 'error')
        throw new SystemdError('refused', textsIn(message.body, 0)[0] ?? 'without a reason');
      if (message && isWanted(message)) return message;
      if (!message) this.#receive();
    }
  }

  /** Waits for what a call is answered with: only a reply is from who was called. Throws as `wait` does. */
  answer(serial: number): Message {
    return this.wait(({ kind, replyTo }) => kind === 'reply' && replyTo === serial);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #take(): Message | undefined {
    if (!this.#isGreeted) return undefined;
    const message = decodeMessage(this.#received);
    if (message) this.#received = this.#received.subarray(message.size);
    return message;
  }

  #read(part: Buffer): number {
    for (;;) {
      try {
        return readSync(this.#fd, part);
      } catch (error) {
        // signal(7), "Interruption of system calls": who is stopped and continued is interrupted.
        if (errnoOf(error) === 'EINTR') continue;
        if (errnoOf(error) === 'EAGAIN')
          throw new SystemdError('timeout', 'the system bus does not answer');
        throw new SystemdError('no-bus', 'the system bus has ended the connection', error);
      }
    }
  }

  #receive(): void {
    const part = Buffer.alloc(4096);
    const size = this.#read(part);
    if (size === 0) throw new SystemdError('no-bus', 'the system bus has ended the connection');
    this.#received = Buffer.concat([this.#received, part.subarray(0, size)]);
    if (this.#isGreeted) return;
    // Messages begin after the line that says that we are who we are.
    const [lines = ''] =
      /^(?:DATA\r\n)?OK [^\r]*\r\n/.exec(this.#received.toString('latin1')) ?? [];
    this.#isGreeted = lines !== '';
    this.#received = this.#received.subarray(lines.length);
    if (!this.#isGreeted && this.#received.includes('REJECTED'))
      throw new SystemdError('refused', 'the system bus has rejected this user');
  }
}
