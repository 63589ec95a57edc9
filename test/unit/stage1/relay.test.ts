import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import type { RuntimeApp } from '../../../src/appc/index.ts';
import { modeAnnotation } from '../../../src/stage1/stream-modes.ts';
import { RELAY } from '../../../stage1/nspawn/relay-program.ts';
import { appStreams, type Caller } from '../../../stage1/nspawn/stdio.ts';

test('the relay is a program that Perl takes in its strict mode, without a warning', () => {
  const { status, stderr } = spawnSync('perl', ['-Mstrict', '-wc', '-'], {
    // What stands behind the mark is compiled later.
    input: RELAY.replace('\n__END__\n', '\n').replace('<DATA>', '<STDIN>'),
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([0, '- syntax OK\n']);
});

/** An app with these modes of its streams. */
function app(modes: Record<string, string>): RuntimeApp {
  const annotations = (['stdin', 'stdout', 'stderr'] as const).flatMap((stream) => {
    const value = modes[stream];
    return value === undefined ? [] : [{ name: modeAnnotation(stream), value }];
  });
  const image = { id: 'sha512-0', labels: [] };
  return { name: 'app', image, readOnlyRootFS: false, mounts: [], annotations };
}

const CALLER: Caller = {
  stdin: 'null',
  sinks: ['copy', 'copy'],
  terminals: [false, false],
  joined: false,
};
const at = (name: string) => ({ file: `/rkt/streams/app/${name}` });

test.each<[string, Partial<Caller>, Record<string, string>, object]>([
  [
    'go through a FIFO each',
    {},
    {},
    { stdin: 'null', stdout: at('stdout'), stderr: at('stderr'), relayed: ['-', 'fifo', 'fifo'] },
  ],
  [
    'share one where the caller gave both the same, so that their order stays',
    { joined: true },
    {},
    { stdin: 'null', stdout: at('stdout'), stderr: at('stdout'), relayed: ['-', 'fifo', 'joined'] },
  ],
  [
    'are a terminal where the caller has one',
    { terminals: [true, false] },
    {},
    { stdin: 'null', stdout: at('tty'), stderr: at('stderr'), relayed: ['-', 'screen', 'fifo'] },
  ],
  [
    "are the caller's terminal with --interactive, which nobody stands in front of",
    { stdin: 'tty' },
    {},
    { stdin: 'tty', stdout: 'tty', stderr: 'tty', relayed: ['-', '-', '-'] },
  ],
  [
    'are apart for those who attach, whatever the caller has',
    { joined: true, terminals: [true, true] },
    { stdin: 'stream', stdout: 'stream', stderr: 'null' },
    { stdin: at('stdin'), stdout: at('stdout'), stderr: 'null', relayed: ['fifo', 'fifo', '-'] },
  ],
])('the streams of an app %s', (_, caller, modes, streams) => {
  expect(appStreams({ ...CALLER, ...caller }, app(modes))).toEqual(streams);
});

test('a mode that does not exist is refused', () => {
  expect(() => appStreams(CALLER, app({ stdin: 'log' }))).toThrow(
    /invalid stdin mode "log": use null, stream, tty/,
  );
});
