import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { constants } from 'node:os';

export interface Result {
  /** Exit code; 128 + n when the process itself was ended by signal n. */
  code: number;
  stdout: string;
  stderr: string;
  stdoutBytes: Buffer;
}

/** A command that was started: what it has printed so far, and its end. */
export class Running {
  /** Rejects when the command outlives its time; else gives its result, whatever the exit code. */
  readonly done: Promise<Result>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #kill: (signal: string) => Promise<void>;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  readonly #waiters = new Set<() => void>();
  #ended = false;

  constructor(
    what: string,
    child: ChildProcessWithoutNullStreams,
    timeout: number,
    kill: (signal: string) => Promise<void>,
  ) {
    this.#child = child;
    this.#kill = kill;
    child.stdin.on('error', () => {});
    for (const [stream, held] of [
      [child.stdout, this.#stdout],
      [child.stderr, this.#stderr],
    ] as const)
      stream.on('data', (chunk: Buffer) => {
        held.push(chunk);
        for (const wake of this.#waiters) wake();
      });
    this.done = new Promise((resolve, reject) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        kill('SIGKILL').catch(() => child.kill('SIGKILL'));
      }, timeout);
      child.on('error', reject);
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        this.#ended = true;
        for (const wake of this.#waiters) wake();
        const stdoutBytes = Buffer.concat(this.#stdout);
        if (late)
          reject(new Error(`no end within ${timeout} ms: ${what}: ${this.stderr}${this.stdout}`));
        else
          resolve({
            code: code ?? 128 + signalNumber(signal),
            stdout: this.stdout,
            stderr: this.stderr,
            stdoutBytes,
          });
      });
    });
    // Whoever does not wait for the end does not want to hear of it either.
    this.done.catch(() => {});
  }

  get stdout(): string {
    return Buffer.concat(this.#stdout).toString();
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString();
  }

  /** Writes to the command's input and leaves it open. */
  write(data: string | Uint8Array): void {
    this.#child.stdin.write(data);
  }

  /** Ends the command's input. */
  end(data?: string | Uint8Array): void {
    if (data === undefined) this.#child.stdin.end();
    else this.#child.stdin.end(data);
  }

  /** Sends a signal (`SIGTERM`) to the command's main process. */
  kill(signal: string): Promise<void> {
    return this.#kill(signal);
  }

  /** Waits until a stream has printed something that matches; gives the match. */
  printed(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(this[stream]);
        if (!found && !this.#ended) return;
        this.#waiters.delete(look);
        if (found) resolve(found);
        else reject(new Error(`ended without ${pattern}: ${this.stderr}${this.stdout}`));
      };
      this.#waiters.add(look);
      look();
    });
  }
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : (constants.signals[signal] ?? 0);
}
