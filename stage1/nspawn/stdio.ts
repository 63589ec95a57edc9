import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync } from 'node:fs';
import { isatty } from 'node:tty';
import { dup2, pipe, setAppend } from '../../src/os/syscalls.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import type { Stream } from './service.ts';

/** Where the container manager's own descriptors appear inside the pod, for its systemd alone. */
export const STDIO = '/rkt/stdio';

/** The three streams of the pod's apps. */
export interface Streams {
  readonly stdin: Stream;
  readonly stdout: Stream;
  readonly stderr: Stream;
}

/**
 * Connects the apps to what this process has as 0, 1 and 2, without a process in between: systemd
 * in the pod opens the same pipe, terminal or file by its path in the container manager's /proc
 * entry. Three cases need help:
 * - as output a file would be written from its start again, so its open file description is made to append;
 * - a socket cannot be opened by a path, and a file as input would be read from its start again, so
 *   a `cat` outside the pod stands between;
 * - journald's socket is left alone: the apps get connections of their own to the journal.
 */
export function connectStreams(interactive: boolean): Streams {
  if (interactive && isatty(0)) return { stdin: 'tty', stdout: 'tty', stderr: 'tty' };
  return {
    stdin: interactive ? input() : 'null',
    stdout: output(1),
    stderr: output(2),
  };
}

function input(): Stream {
  const stats = fstatSync(0);
  if (!stats.isFIFO() && !stats.isCharacterDevice()) {
    const [readEnd, writeEnd] = pipe();
    relay(0, writeEnd);
    closeSync(writeEnd);
    dup2(readEnd, 0);
    closeSync(readEnd);
  }
  return { file: `${STDIO}/0` };
}

function output(fd: 1 | 2): Stream {
  const stats = fstatSync(fd);
  if (process.env['JOURNAL_STREAM'] === `${stats.dev}:${stats.ino}`) return 'journal';
  if (stats.isFile()) setAppend(fd);
  if (stats.isSocket()) {
    const [readEnd, writeEnd] = pipe();
    relay(readEnd, fd);
    closeSync(readEnd);
    dup2(writeEnd, fd);
    closeSync(writeEnd);
  }
  return { file: `${STDIO}/${fd}` };
}

/** Copies until the end of its input, as nobody's child and deaf to the signals that stop a pod. */
function relay(from: number, to: number): void {
  const argv = ['--fork', 'env', '--ignore-signal=INT,TERM,HUP', 'cat'];
  const result = spawnSync('setsid', argv, { stdio: [from, to, 'ignore'] });
  if (result.status === 0) return;
  throw new Stage1Error(
    'missing-program',
    'cannot start setsid and cat, which pass the output on to a socket: install util-linux and coreutils',
    result.error,
  );
}
