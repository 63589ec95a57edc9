import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const box = new Box();
const program = fileURLToPath(new URL('../../../dist/rkt', import.meta.url));

/** A shell script whose `"$@"` is `rkt run` of the box with the arguments. */
function shell(script: string, args: readonly string[], cwd: string) {
  const rkt = [program, `--dir=${box.local.dir}`, 'run', '--net=none', ...args];
  return box.local.startProgram('bash', ['-c', script, 'bash', ...rkt], { cwd }).done;
}

describe('output', () => {
  test('into pipes is complete, and its two streams are kept apart', async () => {
    const script = '"$@" 2> >(cat > err) | cat > out; wait; sync';
    const app = 'dd if=/dev/zero bs=1000 count=3000 2>/dev/null; echo end; echo problem >&2';
    const cwd = box.folder();
    await shell(script, [BOX, '--', app], cwd);
    const out = readFileSync(join(cwd, 'out'));
    expect(out.length).toBe(3_000_004);
    expect(out.subarray(-4).toString()).toBe('end\n');
    await expect.poll(() => readFileSync(join(cwd, 'err'), 'utf8')).toBe('problem\n');
  });

  test('into a file comes between what the shell wrote before and after it', async () => {
    const cwd = box.folder();
    const script = '{ echo before; "$@"; echo after; } > out 2> err';
    await shell(script, [BOX, '--', 'echo one; echo two >&2; echo three'], cwd);
    expect(readFileSync(join(cwd, 'out'), 'utf8')).toBe('before\none\nthree\nafter\n');
    expect(readFileSync(join(cwd, 'err'), 'utf8')).toBe('two\n');
  });

  test('of two pods into one file overwrites nothing', async () => {
    const cwd = box.folder();
    await shell('{ "$@"; "$@"; } > out', [BOX, '--', 'echo line'], cwd);
    expect(readFileSync(join(cwd, 'out'), 'utf8')).toBe('line\nline\n');
  });

  test('of both streams into one file keeps its order', async () => {
    const cwd = box.folder();
    await shell('"$@" > out 2>&1', [BOX, '--', 'echo 1; echo 2 >&2; echo 3; echo 4 >&2'], cwd);
    expect(readFileSync(join(cwd, 'out'), 'utf8')).toBe('1\n2\n3\n4\n');
  });

  test('into a socket is complete, in order, and ends with the pod', async () => {
    // What Node calls a pipe to a child is a socket.
    const app = 'dd if=/dev/zero bs=1000 count=1000 2>/dev/null; echo end; echo problem >&2';
    const { stdoutBytes, stderr } = await box.run(app);
    expect(stdoutBytes.length).toBe(1_000_004);
    expect(stdoutBytes.subarray(-4).toString()).toBe('end\n');
    expect(stderr).toBe('problem\n');
  });

  test('keeps every byte as it is', async () => {
    const { stdoutBytes } = await box.run("printf '\\000\\377\\r\\n\\033[0m'");
    expect(stdoutBytes).toEqual(Buffer.from([0, 255, 13, 10, 27, 91, 48, 109]));
  });

  test('that nobody reads ends the app by SIGPIPE', async () => {
    const cwd = box.folder();
    const script = 'set -o pipefail; "$@" 2>&1 | head -c 5 > out; echo $?';
    const { stdout } = await shell(script, [BOX, '--', 'while :; do echo yes; done'], cwd);
    expect(stdout).toBe('141\n');
  });

  test('can be opened again by its path in /dev', async () => {
    const { stdout, stderr } = await box.run('echo out > /dev/stdout; echo err > /dev/stderr');
    expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
  });
});

describe('input', () => {
  test('is empty without --interactive', async () => {
    const { stdout } = await box.run('cat; readlink /proc/self/fd/0', { input: 'unread' });
    expect(stdout).toBe('/dev/null\n');
  });

  test('with --interactive comes from a pipe, to its end', async () => {
    const cwd = box.folder();
    const args = ['--interactive', BOX, '--', 'sha256sum'];
    const { stdout } = await shell('seq 1 200000 | "$@"', args, cwd);
    expect(stdout).toBe(execFileSync('bash', ['-c', 'seq 1 200000 | sha256sum']).toString());
  });

  test('with --interactive comes from a socket, to its end', async () => {
    const { stdout } = await box.run('cat', { pod: ['--interactive'], input: 'some\ntext' });
    expect(stdout).toBe('some\ntext');
  });

  test('with --interactive comes from a file, from where it is', async () => {
    const cwd = box.folder();
    const script = 'printf "1\\n2\\n3\\n" > in; { read first; "$@"; } < in';
    const { stdout } = await shell(script, ['--interactive', BOX, '--', 'cat'], cwd);
    expect(stdout).toBe('2\n3\n');
  });

  test('is for one app only', async () => {
    const { code, stderr } = await box.runPod([BOX, BOX, '--name=b'], { pod: ['--interactive'] });
    expect(code).toBe(254);
    expect(stderr).toMatch(/--interactive/);
  });
});

describe('a terminal with --interactive', () => {
  /** `rkt run` on a terminal of its own. */
  const onTerminal = (app: string, input: string = '/dev/null') => {
    const rkt = [program, `--dir=${box.local.dir}`, 'run', '--net=none', '--interactive', BOX];
    const quoted = [...rkt, '--', app]
      .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
      .join(' ');
    const script = 'exec script -qec "$1" /dev/null < "$2"';
    const command = `stty -echo rows 33 cols 77; ${quoted}`;
    return box.local.startProgram('bash', ['-c', script, 'bash', command, input]);
  };

  test("is the app's standard input, output and error", async () => {
    const { stdout, code } = await onTerminal('tty; test -t 0 && test -t 1 && test -t 2; exit $?')
      .done;
    expect(stdout).toMatch(/\/dev\/(console|pts\/\d+)/);
    expect(code).toBe(0);
  });

  test('gives the exit status back', async () => {
    expect((await onTerminal('exit 5').done).code).toBe(5);
  });

  test('passes what is typed on', async () => {
    const keys = join(box.folder(), 'keys');
    execFileSync('mkfifo', [keys]);
    const held = openSync(keys, 'r+');
    const running = onTerminal('echo ready; read line; echo "got $line"', keys);
    await running.printed(/ready/);
    writeSync(held, 'hello\n');
    await running.printed(/got hello/);
    expect((await running.done).code).toBe(0);
    closeSync(held);
  });

  test("has the size of the caller's", async () => {
    expect((await onTerminal('stty size').done).stdout).toContain('33 77');
  });
});
