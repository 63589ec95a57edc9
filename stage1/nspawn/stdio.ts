import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, type Stats } from 'node:fs';
import { isatty } from 'node:tty';
import type { RuntimeApp } from '../../src/appc/index.ts';
import { dup2, pipe } from '../../src/os/syscalls.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { type StreamModes, streamModes } from '../../src/stage1/stream-modes.ts';
import type { Stream } from './service.ts';

/** Where the container manager's own descriptors appear inside the pod, for its systemd alone. */
export const STDIO = '/rkt/stdio';

/** Where the ends of the relay are inside the pod: a folder for each app. */
export const STREAMS = '/rkt/streams';

/** What becomes of output: copied to the caller's descriptor, sent to the journal, only recorded. */
export type Sink = 'copy' | 'journal' | 'discard';

/** What this process has as 0, 1 and 2, and what that means for the apps. */
export interface Caller {
  /**
   * What the app reads with `--interactive`; `tty` makes the caller's terminal the pod's, all of it;
   * `relay`: what the relay passes on.
   */
  readonly stdin: Stream | 'relay';
  readonly sinks: readonly [stdout: Sink, stderr: Sink];
  readonly terminals: readonly [stdout: boolean, stderr: boolean];
  /** Both lead to the same, so that their order counts. */
  readonly joined: boolean;
}

/** How the relay serves a stream: see relay-program.ts. */
export type RelayMode = '-' | 'fifo' | 'caller' | 'tty' | 'screen' | 'joined';

/** The three streams of an app, as its unit sees them and as the relay does. */
export interface Streams {
  readonly stdin: Stream;
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly relayed: readonly [stdin: RelayMode, stdout: RelayMode, stderr: RelayMode];
}

/** @param userNamespace the pod has one of its own, whose users cannot open the caller's descriptors */
export function lookAtCaller(interactive: boolean, userNamespace: boolean): Caller {
  const [stdout, stderr] = [fstatSync(1), fstatSync(2)];
  const sinks = [sink(stdout), sink(stderr)] as const;
  return {
    stdin: interactive ? input(userNamespace) : 'null',
    sinks,
    terminals: [isTerminal(1, stdout), isTerminal(2, stderr)],
    joined: stdout.dev === stderr.dev && stdout.ino === stderr.ino && sinks[0] === 'copy',
  };
}

/**
 * Where an app's streams lead. Output goes through a FIFO of the app's user, which can be opened again
 * as /dev/stdout, to the relay; where the caller has a terminal, through a terminal.
 *
 * @throws Stage1Error for modes that cannot be
 */
export function appStreams(caller: Caller, app: RuntimeApp): Streams {
  if (caller.stdin === 'tty')
    return { stdin: 'tty', stdout: 'tty', stderr: 'tty', relayed: ['-', '-', '-'] };
  const modes = streamModes(app);
  const stdin = inputMode(modes, caller);
  const stdout = outputMode(modes.stdout, caller.terminals[0]);
  const joins = caller.joined && modes.stdout === 'log' && modes.stderr === 'log';
  const stderr = joins ? 'joined' : outputMode(modes.stderr, caller.terminals[1]);
  const relayed = [stdin, stdout, stdout === 'screen' && stderr === 'screen' ? 'fifo' : stderr];
  const [, , errors] = relayed;
  const at = (mode: RelayMode, name: string): Stream => {
    if (mode === '-') return 'null';
    const folder = `${STREAMS}/${app.name}`;
    if (mode === 'tty') return { terminal: `${folder}/tty` };
    return { file: `${folder}/${mode === 'screen' ? 'tty' : name}` };
  };
  return {
    stdin: stdin === '-' && caller.stdin !== 'relay' ? caller.stdin : at(stdin, 'stdin'),
    stdout: at(stdout, 'stdout'),
    stderr: stderr === 'joined' ? at(stdout, 'stdout') : at(errors ?? '-', 'stderr'),
    relayed: [stdin, stdout, errors ?? '-'],
  };
}

function inputMode({ stdin }: StreamModes, caller: Caller): RelayMode {
  if (stdin === 'stream') return 'fifo';
  if (stdin === 'tty') return 'tty';
  return caller.stdin === 'relay' ? 'caller' : '-';
}

function outputMode(mode: StreamModes['stdout'], isScreen: boolean): RelayMode {
  if (mode === 'null') return '-';
  if (mode === 'tty') return 'tty';
  return mode === 'log' && isScreen ? 'screen' : 'fifo';
}

/** /dev/null: null(4). */
const NULL_DEVICE = (1 << 8) | 3;

function sink(stats: Stats): Sink {
  if (process.env['JOURNAL_STREAM'] === `${stats.dev}:${stats.ino}`) return 'journal';
  return stats.isCharacterDevice() && stats.rdev === NULL_DEVICE ? 'discard' : 'copy';
}

function isTerminal(fd: number, stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev !== NULL_DEVICE && isatty(fd);
}

/**
 * systemd in the pod opens the caller's pipe by its path in the container manager's /proc entry. A
 * socket cannot be opened by a path, and a file would be read from its start again, so that there a
 * `cat` outside the pod stands between. From a user namespace none of it can be opened by a path.
 */
function input(userNamespace: boolean): Caller['stdin'] {
  if (isatty(0)) return 'tty';
  if (userNamespace) return 'relay';
  const stats = fstatSync(0);
  if (!stats.isFIFO() && !stats.isCharacterDevice()) {
    const [readEnd, writeEnd] = pipe();
    startCat(0, writeEnd);
    closeSync(writeEnd);
    dup2(readEnd, 0);
    closeSync(readEnd);
  }
  return { file: `${STDIO}/0` };
}

/** Copies until the end of its input, as nobody's child and deaf to the signals that stop a pod. */
function startCat(from: number, to: number): void {
  const argv = ['--fork', 'env', '--ignore-signal=INT,TERM,HUP', 'cat'];
  const result = spawnSync('setsid', argv, { stdio: [from, to, 'ignore'] });
  if (result.status === 0) return;
  throw new Stage1Error(
    'missing-program',
    'cannot start setsid and cat, which pass the input on from a file or socket: install util-linux and coreutils',
    result.error,
  );
}
