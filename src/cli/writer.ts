import { writeSync } from 'node:fs';
import type { ProgressDisplay } from '../http/download.ts';
import { errnoOf } from '../os/error.ts';
import { CliError } from './error.ts';

/** Where a command's text goes. */
export interface Writer {
  write(text: string | Uint8Array): void;
  readonly terminal: boolean;
  /** Somebody who wants to know how downloads go on, in numbers. */
  readonly progress?: ProgressDisplay;
}

/**
 * A writer on an inherited descriptor. It writes at once, so that nothing is lost when the process
 * ends or becomes another program, and it spares a short command the set-up of a Node stream.
 */
export function descriptorWriter(fd: 1 | 2): Writer {
  return {
    get terminal() {
      return (fd === 1 ? process.stdout : process.stderr).isTTY === true;
    },
    write(text) {
      const bytes = typeof text === 'string' ? Buffer.from(text) : text;
      for (let at = 0; at < bytes.length; ) at += writeSome(fd, bytes, at);
    },
  };
}

const turn = new Int32Array(new SharedArrayBuffer(4));

function writeSome(fd: number, bytes: Uint8Array, at: number): number {
  try {
    return writeSync(fd, bytes, at);
  } catch (error) {
    const errno = errnoOf(error);
    // Whoever shares the pipe may have made it non-blocking: there is nothing else to wait on.
    if (errno === 'EAGAIN') Atomics.wait(turn, 0, 0, 1);
    if (errno === 'EAGAIN' || errno === 'EINTR') return 0;
    // The reader has left, as `head` does: nobody is there to be told.
    if (errno === 'EPIPE') process.exit(128 + 13);
    throw new CliError('output', `cannot write to ${fd === 1 ? 'stdout' : 'stderr'}`, error);
  }
}
