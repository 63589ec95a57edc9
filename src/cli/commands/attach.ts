import type { Socket } from 'node:net';
import { makeRaw } from '../../os/syscalls.ts';
import { Attachment, type Connection, type Endpoint } from '../../pod/attach.ts';
import { holdPod } from '../../pod/hold.ts';
import { findPod } from '../../pod/pods.ts';
import type { Context } from '../context.ts';
import { KeyWatch, parseDetachKeys } from '../detach-keys.ts';
import { flagError } from '../error.ts';
import { jsonFormat, jsonText } from '../output.ts';

/** Connects the caller's streams to those of a running app, until either end has enough. */
export async function run(context: Context): Promise<number> {
  const { args, flags, globals, stdout } = context;
  const mode = flags.value('mode') ?? 'auto';
  const wanted = mode === 'list' || mode === 'auto' ? undefined : endpointsOf(mode);
  const format = jsonFormat(flags);
  if (format && mode !== 'list') throw flagError('format', 'goes with --mode=list only');
  const keys = parseDetachKeys(flags.value('detach-keys') ?? '');
  const pod = holdPod(globals.dataDir, findPod(globals.dataDir, args[0] ?? ''));
  const attachment = await Attachment.open(globals.dataDir, pod, flags.value('app'));
  if (mode === 'list') {
    const names = await attachment.list();
    stdout.write(format ? jsonText(names, format) : names.map((name) => `${name}\n`).join(''));
    return 0;
  }
  const endpoints = wanted ?? endpointsOf((await attachment.list()).join(','));
  const closing = flags.bool('close-stdin');
  const named = endpoints.map((each) => (closing && each === 'stdin' ? 'stdin-once' : each));
  const isDetached = await new Session(attachment, keys).run(named);
  if (isDetached) context.note(`detached from app "${attachment.app}", which goes on`);
  return 0;
}

const ENDPOINTS: readonly Endpoint[] = ['stdin', 'stdout', 'stderr', 'tty-in', 'tty-out'];

/** The endpoints of a list such as `stdin,stdout` or `tty`. Throws CliError for what cannot be. */
function endpointsOf(list: string): Endpoint[] {
  const endpoints = list
    .split(',')
    .flatMap((word) => (word === 'tty' ? ['tty-in', 'tty-out'] : [word]))
    .map((word) => {
      const endpoint = ENDPOINTS.find((each) => each === word);
      if (endpoint) return endpoint;
      throw flagError('mode', `must be list, auto or names of streams or tty, not "${word}"`);
    });
  if (new Set(endpoints.map((each) => each.startsWith('tty'))).size > 1)
    throw flagError('mode', `"${list}" mixes a terminal with plain streams`);
  return [...new Set(endpoints)];
}

/** The caller's streams while they are connected. */
class Session {
  readonly #attachment: Attachment;
  readonly #keys: Buffer;

  constructor(attachment: Attachment, keys: Buffer) {
    this.#attachment = attachment;
    this.#keys = keys;
  }

  /** Settles when the app has ended or nothing is left to do; true when the user has detached. */
  async run(endpoints: readonly Endpoint[]): Promise<boolean> {
    const isTerminal = endpoints.includes('tty-in') && process.stdin.isTTY === true;
    let restore = () => {};
    const sockets: Socket[] = [];
    const ends: Promise<void>[] = [];
    const inputs: Promise<boolean>[] = [];
    try {
      // From the first output on keys are the app's: a control-C would end this process instead.
      if (isTerminal) restore = makeRaw(0);
      // Output first, so that nothing of an answer to the input is missed.
      for (const endpoint of endpoints.filter((each) => !isInput(each))) {
        const connection = await this.#attachment.connect(endpoint);
        sockets.push(connection.socket);
        ends.push(copyOut(connection, endpoint));
      }
      if (endpoints.includes('tty-out') && process.stdout.isTTY) {
        await this.#resize();
        process.stdout.on('resize', () => this.#resize());
      }
      for (const endpoint of endpoints.filter(isInput)) {
        const { socket } = await this.#attachment.connect(endpoint);
        sockets.push(socket);
        inputs.push(this.#copyIn(socket, isTerminal));
      }
      return await settled(inputs, ends);
    } finally {
      restore();
      for (const socket of sockets) socket.destroy();
      process.stdout.removeAllListeners('resize');
      process.stdin.destroy();
    }
  }

  /** Settles at the end of the input, or when the keys were typed, with true. */
  #copyIn(socket: Socket, isTerminal: boolean): Promise<boolean> {
    const watch = new KeyWatch(isTerminal ? this.#keys : Buffer.alloc(0));
    return new Promise((resolve) => {
      process.stdin.on('data', (chunk: Buffer) => {
        const { pass, detached } = watch.feed(chunk);
        if (pass.length > 0 && !socket.write(pass)) process.stdin.pause();
        if (detached) resolve(true);
      });
      socket.on('drain', () => process.stdin.resume());
      process.stdin.on('end', () => socket.end());
      socket.on('error', () => resolve(false));
      socket.on('close', () => resolve(false));
      socket.resume();
    });
  }

  async #resize(): Promise<void> {
    const { rows, columns } = process.stdout;
    // The app may just have ended.
    await this.#attachment.resize(rows, columns).catch(() => undefined);
  }
}

const NEVER = new Promise<boolean>(() => {});

function isInput(endpoint: Endpoint): boolean {
  return endpoint !== 'stdout' && endpoint !== 'stderr' && endpoint !== 'tty-out';
}

function copyOut({ socket, first }: Connection, endpoint: Endpoint): Promise<void> {
  const target = endpoint === 'stderr' ? process.stderr : process.stdout;
  target.write(first);
  socket.pipe(target, { end: false });
  return new Promise((resolve) => {
    socket.on('close', resolve);
    socket.on('error', () => resolve());
  });
}

/** True when the keys were typed; false when the output has ended, or the input where there is no output. */
async function settled(
  inputs: readonly Promise<boolean>[],
  outputs: readonly Promise<void>[],
): Promise<boolean> {
  if (outputs.length === 0) return (await Promise.all(inputs)).includes(true);
  const detached = inputs.map((input) => input.then((yes) => yes || NEVER));
  return Promise.race([...detached, Promise.all(outputs).then(() => false)]);
}
