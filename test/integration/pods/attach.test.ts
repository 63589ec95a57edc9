import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { program } from '../../lib/local.ts';
import type { Running } from '../../lib/running.ts';
import { Box, type StartedPod } from './box.ts';
import { BOX } from './image.ts';

const box = new Box();

const STREAMS = ['--stdin=stream', '--stdout=stream', '--stderr=stream'];
const TERMINAL = ['--stdin=tty', '--stdout=tty', '--stderr=tty'];

/** Starts a pod and waits until its app has written "ready". */
async function started(script: string, app: readonly string[]): Promise<StartedPod> {
  const pod = box.start(script, { app });
  await pod.running.printed(/ready/);
  return pod;
}

/** A client with pipes, whose input stays open. */
function attach(pod: StartedPod, ...flags: string[]): Running {
  return box.local.start(['attach', ...flags, pod.uuid], { keepInput: true });
}

/** An app that echoes lines, both streams told apart, until "end". */
const ECHO =
  'echo ready; while read line; do echo "out $line"; echo "err $line" >&2; [ "$line" != end ] || exit 0; done; echo eof';

describe('rkt attach to streams', () => {
  test('lists them', async () => {
    const pod = await started(ECHO, STREAMS);
    expect(await box.ok(['attach', '--mode=list', pod.uuid])).toBe('stderr\nstdin\nstdout\n');
    const json = await box.ok(['attach', '--mode=list', '--format=json', pod.uuid]);
    expect(json).toBe('["stderr","stdin","stdout"]\n');
    const { code, stderr } = await box.local.rkt(['attach', '--format=json', pod.uuid]);
    expect([code, stderr]).toEqual([254, expect.stringContaining('goes with --mode=list only')]);
    await box.ok(['stop', pod.uuid]);
  });

  test('connects all three of them, and ends with the app', async () => {
    const pod = await started(ECHO, STREAMS);
    const client = attach(pod);
    client.write('one\n');
    await client.printed(/out one/);
    client.write('end\n');
    const { code, stdout, stderr } = await client.done;
    expect([code, stdout, stderr]).toEqual([0, 'out one\nout end\n', 'err one\nerr end\n']);
    expect((await pod.running.done).code).toBe(0);
  });

  test('connects those that are named, and shows nothing from before', async () => {
    const pod = await started(ECHO, STREAMS);
    const client = attach(pod, '--mode=stderr');
    await expect
      .poll(async () => {
        await box.ok(['attach', '--mode=stdin', pod.uuid], { input: 'x\n' });
        return client.stderr;
      })
      .toMatch(/err x/);
    await box.ok(['attach', '--mode=stdin', pod.uuid], { input: 'end\n' });
    const { stdout, stderr } = await client.done;
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^(err x\n)+err end\n$/);
  });

  test('leaves the app its input when a client goes, and lets the next one come', async () => {
    const pod = await started(ECHO, STREAMS);
    for (const line of ['first', 'second']) {
      await box.ok(['attach', '--mode=stdin', pod.uuid], { input: `${line}\n` });
      await pod.running.printed(new RegExp(`out ${line}`));
    }
    const killed = attach(pod);
    killed.write('third\n');
    await killed.printed(/out third/);
    await killed.kill('SIGKILL');
    await box.ok(['attach', '--mode=stdin', pod.uuid], { input: 'end\n' });
    expect((await pod.running.done).stdout).not.toContain('eof');
  });

  test('ends the input of the app with --close-stdin, when all of it has arrived', async () => {
    const pod = await started('echo ready; exec sha256sum', STREAMS);
    const input = Buffer.alloc(1_000_000, 'abcdefg\n');
    const { stdout } = await box.local.rkt(['attach', '--close-stdin', pod.uuid], { input });
    const sum = execFileSync('sha256sum', { input }).toString();
    expect(stdout).toBe(sum);
    expect((await pod.running.done).stdout).toBe(`ready\n${sum}`);
  });

  test('gives every client all of the output', async () => {
    const pod = await started(ECHO, STREAMS);
    const clients = [attach(pod, '--mode=stdout'), attach(pod, '--mode=stdout')];
    await expect
      .poll(async () => {
        await box.ok(['attach', '--mode=stdin', pod.uuid], { input: 'x\n' });
        return clients.every((client) => client.stdout.includes('out x'));
      })
      .toBe(true);
    await box.ok(['attach', '--mode=stdin', pod.uuid], { input: 'end\n' });
    for (const client of clients) expect((await client.done).stdout).toMatch(/out end\n$/);
  });

  test('cuts off a client that does not read, and neither app nor log waits for it', async () => {
    const app =
      'echo ready; read line; i=0; while [ $i -lt 8 ]; do dd if=/dev/zero bs=1000000 count=1 2>/dev/null; i=$((i+1)); done; echo done';
    const pod = await started(app, STREAMS);
    const stuck = box.local.startProgram('sh', [
      '-c',
      '"$@" | { read line; echo "$line" >&2; exec sleep 1000; }',
      'sh',
      ...[program, `--dir=${box.local.dir}`, 'attach', '--mode=stdout', pod.uuid],
    ]);
    await box.ok(['attach', '--mode=stdin', pod.uuid], { input: 'go\n' });
    expect((await pod.running.done).stdoutBytes.length).toBe(8_000_000 + 'ready\ndone\n'.length);
    await stuck.kill('SIGKILL');
  });

  test('shows the output of an app that only logs', async () => {
    const pod = await started('echo ready; while :; do echo tick; sleep 0.1; done', []);
    const client = attach(pod, '--mode=stdout');
    await client.printed(/tick/);
    await box.ok(['stop', pod.uuid]);
    expect((await client.done).code).toBe(0);
  });
});

describe('rkt attach refuses', () => {
  test.each([
    ['an unknown mode', ['--mode=nope'], /--mode.*"nope"/],
    ['a terminal beside streams', ['--mode=tty,stdout'], /mixes a terminal with plain streams/],
    ['what the app does not have', ['--mode=tty'], /it has no tty/],
    ['an app that the pod does not have', ['--app=nope'], /no app "nope": use one of box/],
  ])('%s', async (_, flags, message) => {
    const pod = await started('echo ready; sleep 1000', STREAMS);
    const { code, stderr } = await box.local.rkt(['attach', ...flags, pod.uuid]);
    expect([code, stderr]).toEqual([254, expect.stringMatching(message)]);
    await box.ok(['stop', '--force', pod.uuid]);
  });

  test('a pod that has ended', async () => {
    const { pod } = await box.run('true');
    expect((await box.local.rkt(['attach', pod.uuid])).stderr).toMatch(
      /is not running: it is exited/,
    );
  });
});

describe('rkt run refuses', () => {
  test.each([
    ['an unknown mode', ['--stdin=log'], /invalid stdin mode "log"/],
    ['a terminal beside a stream', ['--stdin=tty', '--stdout=stream'], /use tty or stream/],
  ])('%s of a stream', async (_, app, message) => {
    const { code, stderr } = await box.run('true', { app });
    expect([code, stderr]).toEqual([254, expect.stringMatching(message)]);
  });
});

describe('rkt attach to a terminal', () => {
  /** `rkt attach` on a terminal of 33 lines; what is written to `keys` is typed. */
  function onTerminal(pod: StartedPod): { client: Running; keys: number } {
    const path = join(box.folder(), 'keys');
    execFileSync('mkfifo', [path]);
    const keys = openSync(path, 'r+');
    const command = `stty -echo rows 33 cols 77; ${program} --dir=${box.local.dir} attach ${pod.uuid}`;
    const script = 'exec script -qec "$1" /dev/null < "$2"';
    const client = box.local.startProgram('bash', ['-c', script, 'bash', command, path]);
    return { client, keys };
  }

  const SHELL =
    'echo ready; while read line; do echo "got $line"; [ "$line" != size ] || stty size; done';

  test('gives the app what is typed, and the size of the window', async () => {
    const pod = await started(SHELL, TERMINAL);
    const { client, keys } = onTerminal(pod);
    writeSync(keys, 'size\n');
    await client.printed(/got size\r\n33 77/);
    writeSync(keys, '\u0004');
    expect((await client.done).code).toBe(0);
    expect((await pod.running.done).code).toBe(0);
    closeSync(keys);
  });

  test('detaches by ctrl-p ctrl-q, and the app goes on for the next one', async () => {
    const pod = await started(SHELL, TERMINAL);
    const first = onTerminal(pod);
    writeSync(first.keys, 'one\n');
    await first.client.printed(/got one/);
    writeSync(first.keys, '\u0010\u0011');
    expect(await first.client.done).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('detached from app "box"'),
    });
    const second = onTerminal(pod);
    writeSync(second.keys, 'two\n');
    await second.client.printed(/got two/);
    writeSync(second.keys, '\u0004');
    expect((await second.client.done).stdout).not.toContain('got one');
    await pod.running.done;
    for (const { keys } of [first, second]) closeSync(keys);
  });

  test('sends ctrl-c to the app', async () => {
    const app =
      'trap "echo interrupted; exit 3" INT; echo ready; while :; do echo tick; sleep 0.1; done';
    const pod = await started(app, TERMINAL);
    const { client, keys } = onTerminal(pod);
    await client.printed(/tick/);
    await expect
      .poll(() => {
        writeSync(keys, '\u0003');
        return client.stdout;
      })
      .toMatch(/interrupted/);
    expect((await pod.running.done).code).toBe(3);
    await client.done;
    closeSync(keys);
  });

  test('lists it', async () => {
    const pod = await started(SHELL, TERMINAL);
    expect(await box.ok(['attach', '--mode=list', pod.uuid])).toBe('tty-in\ntty-out\n');
    await box.ok(['stop', '--force', pod.uuid]);
  });
});

test('an image that runs with streams is run as before when nobody attaches', async () => {
  const { stdout, stderr } = await box.run('cat; echo out; echo err >&2', {
    image: BOX,
    app: ['--stdout=stream', '--stderr=stream'],
  });
  expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
});
