import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';

/** Messages of Varlink: JSON objects, each with a NUL byte behind it (varlink.org/Method-Call). */

/** A call of a method, by its full name. */
export interface VarlinkCall {
  readonly method: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** The caller wants several answers. */
  readonly more?: boolean;
  /** The caller wants none. */
  readonly oneway?: boolean;
}

/** An answer: the values of a method, or of an error. */
export interface VarlinkReply {
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** More answers follow. */
  readonly continues?: boolean;
  readonly error?: string;
}

/** More than any call needs. */
const MAX_MESSAGE = 16 << 20;

/** Calls that are kept while an earlier one is answered; then the caller has to wait. */
const MOST_WAITING = 16;

/**
 * Has each message that comes through a socket handled, one after the other.
 *
 * Settles when the other side has ended and all is handled. Rejects with what the handler throws, and
 * for what is no JSON object or has no end.
 */
export function receive(socket: Socket, handle: (message: object) => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const decoder = new StringDecoder('utf8');
    let parts: string[] = [];
    let size = 0;
    let waiting = 0;
    let last = Promise.resolve();
    const take = (text: string) => {
      const message = messageOf(text);
      waiting++;
      if (waiting >= MOST_WAITING) socket.pause();
      last = last.then(() => handle(message));
      last.then(() => {
        waiting--;
        socket.resume();
      }, reject);
    };
    socket.on('data', (bytes) => {
      try {
        const [first = '', ...others] = decoder.write(bytes).split('\0');
        parts.push(first);
        size += first.length;
        for (const next of others) {
          take(parts.join(''));
          parts = [next];
          size = next.length;
        }
        if (size > MAX_MESSAGE) throw new Error(`a message has more than ${MAX_MESSAGE} bytes`);
      } catch (error) {
        reject(error);
      }
    });
    socket.once('end', () => last.then(resolve));
    socket.once('close', () => resolve());
  });
}

function messageOf(text: string): object {
  const message: unknown = JSON.parse(text);
  if (typeof message !== 'object' || message === null || Array.isArray(message))
    throw new Error('a message is not a JSON object');
  return message;
}

/** Settles when the message is on its way; a reader that is slow is waited for. */
export function send(socket: Socket, message: VarlinkCall | VarlinkReply): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(`${JSON.stringify(message)}\0`, (error) => (error ? reject(error) : resolve()));
  });
}
