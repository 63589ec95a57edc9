import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { callProgram, failedStep, type Step } from '../../../src/os/call-program.ts';

const folder = mkdtempSync(join(tmpdir(), 'rkt-program-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a list of steps as a program; what it reports comes by descriptor 3. */
function run(...steps: readonly Step[]) {
  const file = join(folder, 'program');
  rmSync(file, { force: true });
  writeFileSync(file, callProgram(steps), { mode: 0o755 });
  const { status, signal, output } = spawnSync(file, [], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    encoding: 'latin1',
  });
  const report = Buffer.from(output[3] ?? '', 'latin1');
  return { status, signal, stdout: String(output[1]), failed: failedStep(report) };
}

const sh = (script: string): Step => ({
  call: 'execve',
  args: ['/bin/sh', ['sh', '-c', script], ['WORD=given']],
});
const FORK: Step = { call: 'clone', args: [17, 0, 0, 0, 0] };

describe('a program of system calls', () => {
  test('makes them in order', () => {
    const write = (text: string): Step => ({ call: 'write', args: [1, text, text.length] });
    expect(run(write('a'), write('b'), sh('echo c')).stdout).toBe('abc\n');
  });

  test('hands on arguments and environment', () => {
    expect(run(sh('echo "$0 $WORD"')).stdout).toBe('sh given\n');
  });

  test('goes on after a step that may fail', () => {
    const steps: Step[] = [{ call: 'close', args: [99], mayFail: true }, sh('exit 3')];
    expect(run(...steps).status).toBe(3);
  });

  test('ends with 254 and a report at one that may not', () => {
    const steps: Step[] = [{ call: 'umask', args: [0] }, { call: 'close', args: [99] }, sh('true')];
    expect(run(...steps)).toMatchObject({
      status: 254,
      stdout: '',
      failed: { index: 1, errno: 9 },
    });
  });

  test.each([0, 7, 255])('ends as the process that it forks off: %i', (code) => {
    expect(run(FORK, sh(`exit ${code}`)).status).toBe(code);
  });

  test('ends with 128 and the signal of the process that it forks off', () => {
    expect(run(FORK, sh('kill -TERM $$'))).toMatchObject({ status: 143, signal: null });
  });

  test('reports a failure of the process that it forks off', () => {
    const steps: Step[] = [FORK, { call: 'execve', args: ['/nowhere', ['x'], []] }];
    expect(run(...steps)).toMatchObject({ status: 254, failed: { index: 1, errno: 2 } });
  });
});
