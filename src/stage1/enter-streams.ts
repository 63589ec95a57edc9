import {
  closeSync,
  constants,
  createReadStream,
  createWriteStream,
  fchownSync,
  fstatSync,
  openSync,
  statSync,
} from 'node:fs';
import { finished, pipeline } from 'node:stream/promises';
import { isatty } from 'node:tty';
import { onPathOfRoot } from '../os/inroot.ts';
import { makeRaw, openTerminalPeer, pipe, setWindowSize } from '../os/syscalls.ts';
import type { EnterTarget } from './enter-target.ts';
import { Stage1Error } from './error.ts';

/** What a process in an app gets as 0, 1 and 2. */
export interface EnterStreams {
  readonly fds: readonly [number, number, number];
  readonly terminal: boolean;
  /** Starts to copy; to be called when the process has been started. */
  connect(): void;
  /** Waits until all that the process wrote has arrived, and gives the caller's terminal back. */
  finish(): Promise<void>;
}

/**
 * The caller's streams as an app may have them. A terminal of the host could be typed into from inside, a
 * file or folder opened again with other rights, and so what gets in is only: a terminal of the
 * pod's own, if the caller has one as input and output, and pipes. Who has pipes, or /dev/null, hands them over.
 *
 * @param owner who may open the terminal by its name: a uid of the host
 */
export function enterStreams(target: EnterTarget, owner: number): EnterStreams {
  const terminal = isatty(0) && isatty(1) ? new Terminal(target, owner) : undefined;
  const input = terminal ? undefined : inputOf(0);
  const outputs = [1, 2].map((fd) =>
    terminal && isatty(fd) ? undefined : outputOf(fd === 1 ? 1 : 2),
  );
  const peer = terminal?.peer ?? -1;
  const [out, err] = outputs;
  const copies = outputs.map(async () => {});
  return {
    fds: [input?.fd ?? peer, out?.fd ?? peer, err?.fd ?? peer],
    terminal: terminal !== undefined,
    connect() {
      terminal?.connect();
      input?.connect();
      outputs.forEach((output, at) => {
        if (output) copies[at] = output.connect();
      });
    },
    async finish() {
      await Promise.all(copies);
      await terminal?.finish();
    },
  };
}

/** A pipe, or nothing: what leads nowhere else when it is opened again. */
function isHarmless(fd: number): boolean {
  const stats = fstatSync(fd);
  return stats.isFIFO() || (stats.isCharacterDevice() && stats.rdev === DEV_NULL);
}

const DEV_NULL = (1 << 8) | 3;

function inputOf(fd: 0): { fd: number; connect(): void } {
  if (isHarmless(fd)) return { fd, connect: () => {} };
  const [readEnd, writeEnd] = pipe();
  return {
    fd: readEnd,
    connect: () => {
      closeSync(readEnd);
      // It is nobody's failure when the program ends before its input does.
      pipeline(process.stdin, createWriteStream('', { fd: writeEnd })).catch(() => {});
    },
  };
}

function outputOf(fd: 1 | 2): { fd: number; connect(): Promise<void> } {
  if (isHarmless(fd)) return { fd, connect: async () => {} };
  const [readEnd, writeEnd] = pipe();
  const to = fd === 1 ? process.stdout : process.stderr;
  return {
    fd: writeEnd,
    connect: async () => {
      closeSync(writeEnd);
      await pipeline(createReadStream('', { fd: readEnd }), to, { end: false });
    },
  };
}

/** A new terminal of the pod's, beside the caller's own. */
class Terminal {
  readonly peer: number;
  readonly #main: number;
  #ended: Promise<void> = Promise.resolve();
  #restore: () => void = () => {};

  constructor(target: EnterTarget, owner: number) {
    this.#main = openMultiplexer(target);
    this.peer = openTerminalPeer(this.#main);
    fchownSync(this.peer, owner, fstatSync(this.peer).gid);
    this.#resize();
  }

  connect(): void {
    closeSync(this.peer);
    const output = createReadStream('', { fd: this.#main, autoClose: false });
    const input = createWriteStream('', { fd: this.#main, autoClose: false });
    // The terminal's end is an error of its other side: EIO.
    output.on('error', () => {});
    input.on('error', () => {});
    output.pipe(process.stdout, { end: false });
    this.#restore = makeRaw(0);
    process.stdin.pipe(input);
    process.stdout.on('resize', () => this.#resize());
    this.#ended = finished(output).catch(() => {});
  }

  async finish(): Promise<void> {
    await this.#ended;
    this.#restore();
  }

  #resize(): void {
    setWindowSize(this.#main, process.stdout.rows, process.stdout.columns);
  }
}

const PTMX_DEVICE = (5 << 8) | 2;

/**
 * Opens a new terminal of the pod's through the app's own mount, so that it has the name there that
 * the pod knows it by. What the app may have put in the way is looked at before it is opened.
 */
function openMultiplexer({ pod, main }: EnterTarget): number {
  const pods = statSync(`${pod.proc}/root/dev/pts/ptmx`);
  let fd = -1;
  onPathOfRoot(`${main.proc}/root`, '/dev/pts/ptmx', (path) => {
    const { dev, rdev } = statSync(path);
    if (dev !== pods.dev || rdev !== PTMX_DEVICE)
      throw new Stage1Error(
        'unsupported',
        'cannot make a terminal: /dev/pts of the app is not the pod’s',
      );
    fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  });
  return fd;
}
