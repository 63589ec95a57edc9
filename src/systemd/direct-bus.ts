import { closeSync, readSync, writeSync } from 'node:fs';
import { errnoOf } from '../os/error.ts';
import { connectUnix, limitReads } from '../os/unix-socket.ts';
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
  readonly #timeout: number;
  /** Calls to the bus itself that nobody asks for the answer of. */
  readonly #unasked: number[] = [];
  #serial = 0;
  #received = Buffer.alloc(0);
  #isGreeted = false;

  /**
   * @param timeout how long what is waited for may take, in seconds
   * @throws SystemdError `no-bus` when nobody listens
   */
  constructor(path = '/run/dbus/system_bus_socket', timeout = 90) {
    this.#timeout = timeout * 1000;
    try {
      this.#fd = connectUnix(path);
    } catch (error) {
      throw new SystemdError('no-bus', 'cannot connect to the system bus: is dbus running?', error);
    }
    // D-Bus specification, "Authentication Protocol": who this is the kernel tells.
    writeSync(this.#fd, '\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n');
    this.#unasked.push(this.send({ ...DBUS, member: 'Hello' }));
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
    const call = { ...DBUS, member: 'AddMatch', signature: 's', body: [text(rule)] };
    this.#unasked.push(this.send(call));
  }

  /**
   * Waits for the message that is looked for.
   *
   * @throws SystemdError `refused` when the bus itself has refused something, `timeout` when it does
   * not come, whatever else does, `no-bus` at the connection's end
   */
  wait(isWanted: (message: Message) => boolean): Message {
    const deadline = performance.now() + this.#timeout;
    for (let isLast = false; ; ) {
      const message = this.#take();
      if (message && this.#isRefusedByBus(message)) throw refusal(message);
      if (message && isWanted(message)) return message;
      if (message) continue;
      if (isLast) throw unanswered();
      // What has come while this process was stopped counts.
      isLast = performance.now() >= deadline;
      this.#receive(deadline);
    }
  }

  /**
   * Waits for what a call is answered with, which nobody but who was called may send. Throws as `wait`
   * does, and SystemdError `refused` when the answer is an error.
   */
  answer(serial: number): Message {
    const message = this.wait(
      ({ kind, replyTo }) => (kind === 'reply' || kind === 'error') && replyTo === serial,
    );
    if (message.kind === 'error') throw refusal(message);
    return message;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #isRefusedByBus({ kind, replyTo = 0, sender }: Message): boolean {
    return kind === 'error' && sender === DBUS.destination && this.#unasked.includes(replyTo);
  }

  #take(): Message | undefined {
    if (!this.#isGreeted) return undefined;
    const message = decodeMessage(this.#received);
    if (message) this.#received = this.#received.subarray(message.size);
    return message;
  }

  #read(part: Buffer, deadline: number): number {
    for (;;) {
      limitReads(this.#fd, deadline - performance.now());
      try {
        return readSync(this.#fd, part);
      } catch (error) {
        // signal(7), "Interruption of system calls": who is stopped and continued is interrupted.
        if (errnoOf(error) === 'EINTR') continue;
        if (errnoOf(error) === 'EAGAIN') throw unanswered();
        throw new SystemdError('no-bus', 'the system bus has ended the connection', error);
      }
    }
  }

  #receive(deadline: number): void {
    const part = Buffer.alloc(65_536);
    const size = this.#read(part, deadline);
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

function refusal({ body }: Message): SystemdError {
  return new SystemdError('refused', textsIn(body, 0)[0] ?? 'without a reason');
}

function unanswered(): SystemdError {
  return new SystemdError('timeout', 'the system bus does not answer');
}
