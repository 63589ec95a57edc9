import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { program } from '../../lib/local.ts';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const box = new Box();
const FLY = '--stage1-name=coreos.com/rkt/stage1-fly';

/** `rkt logs` of a pod; its output. */
const logs = (uuid: string, ...flags: string[]) => box.ok(['logs', ...flags, uuid]);

/** Starts a pod and waits until its app has written "ready". */
async function started(script: string, app: readonly string[] = []) {
  const pod = box.start(script, { app });
  await pod.running.printed(/ready/);
  return pod;
}

describe('rkt logs', () => {
  test('prints what a pod wrote that has ended, byte for byte', async () => {
    const { pod } = await box.run("echo one; printf 'two\\000\\377\\n\\nthree'");
    const { stdoutBytes } = await box.local.rkt(['logs', '-o', 'cat', pod.uuid]);
    expect(stdoutBytes).toEqual(Buffer.from('one\ntwo\0\xff\n\nthree', 'latin1'));
  });

  test('prints what a running pod has written so far', async () => {
    const pod = await started('echo ready; sleep 1000');
    expect(await logs(pod.uuid, '--output=cat')).toBe('ready\n');
    await box.ok(['stop', '--force', pod.uuid]);
  });

  test('keeps what was written by the end of a pod that is killed', async () => {
    const pod = await started('echo ready; printf part; sleep 1000');
    process.kill(pod.supervisor, 'SIGKILL');
    await pod.running.done;
    expect(await logs(pod.uuid, '-o', 'cat')).toMatch(/^ready\n/);
  });

  test('gives each line its time and app by default', async () => {
    const { pod } = await box.run('echo line');
    expect(await logs(pod.uuid)).toMatch(/^[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d box: line\n$/);
  });

  test('gives as JSON the fields that lines have in the journal', async () => {
    const before = Date.now();
    const { pod } = await box.run("printf '\\377\\n' >&2");
    const entry = JSON.parse(await logs(pod.uuid, '-o', 'json'));
    expect(entry).toEqual({
      __REALTIME_TIMESTAMP: expect.stringMatching(/^\d{16}$/),
      RKT_POD: pod.uuid,
      RKT_APP: 'box',
      RKT_IMAGE: `${BOX}:1.0`,
      RKT_STREAM: 'stderr',
      MESSAGE: [255],
    });
    const time = Number(entry.__REALTIME_TIMESTAMP) / 1000;
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
  });

  test('prints the last lines only, or those since a time', async () => {
    const { pod } = await box.run('echo 1; echo 2; echo 3');
    expect(await logs(pod.uuid, '--tail=2', '-o', 'cat')).toBe('2\n3\n');
    expect(await logs(pod.uuid, '-n', '0')).toBe('');
    expect(await logs(pod.uuid, '--since=1h', '-o', 'cat')).toBe('1\n2\n3\n');
    expect(await logs(pod.uuid, '--since=2100-01-01', '-o', 'cat')).toBe('');
    const [last = ''] = (await logs(pod.uuid, '--tail=1', '-o', 'short-iso')).split(' ');
    const moment = `${last.slice(0, '2026-01-02T03:04:05.678'.length)}Z`;
    expect(await logs(pod.uuid, `--since=${moment}`, '-o', 'cat')).toMatch(/3\n$/);
    const never = await box.local.rkt(['logs', '--since=9999999999h', pod.uuid]);
    expect(never.stderr).toContain('--since: must be a duration');
  });

  test('prints several apps in the order of time, or one of them', async () => {
    const { pod } = await box.runPod([
      ...[BOX, '--name=first', '--', 'echo from first', '---'],
      ...[BOX, '--name=second', '--', 'echo from second'],
    ]);
    const all = (await logs(pod.uuid, '-o', 'short-iso')).trim().split('\n');
    expect(all).toEqual([...all].sort());
    expect(all.length).toBe(2);
    expect(await logs(pod.uuid, '--app=second', '-o', 'cat')).toBe('from second\n');
  });

  test('follows a running pod until it ends', async () => {
    const pod = await started('echo ready; read line; echo "got $line"; echo last', [
      '--stdin=stream',
    ]);
    const following = box.local.start(['logs', '-f', '-o', 'cat', pod.uuid]);
    await following.printed(/ready/);
    await box.ok(['attach', '--mode=stdin', pod.uuid], { input: 'news\n' });
    expect((await following.done).stdout).toBe('ready\ngot news\nlast\n');
  });

  test('has what is written to /dev/stdout and /dev/stderr by a user who is not root', async () => {
    const { pod, stdout, stderr } = await box.run(
      'echo out > /dev/stdout; echo err > /dev/stderr',
      {
        app: ['--user=1000', '--group=1000'],
      },
    );
    expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
    expect((await logs(pod.uuid, '-o', 'cat')).split('\n').sort()).toEqual(['', 'err', 'out']);
  });

  test('has what goes to a terminal, which stays one for the app', async () => {
    const uuidFile = join(box.folder(), 'uuid');
    const rkt = `${program} --dir=${box.local.dir} run --net=none --uuid-file-save=${uuidFile}`;
    const app = `${BOX} -- 'test -t 1 && stty size <&1; printf "a\\nb\\n"'`;
    const command = `stty rows 33 cols 77; ${rkt} ${app}`;
    const script = box.local.startProgram('script', ['-qec', command, '/dev/null']);
    expect((await script.done).stdout).toBe('33 77\r\na\r\nb\r\n');
    const uuid = readFileSync(uuidFile, 'utf8');
    expect(await logs(uuid, '-o', 'cat')).toBe('33 77\na\nb\n');
  });

  test('keeps at most two files of 10 MiB of an app, the newest lines in them', async () => {
    const app =
      'i=0; while [ $i -lt 5 ]; do dd if=/dev/zero bs=1000000 count=5 2>/dev/null; echo $i; i=$((i+1)); done';
    const { pod } = await box.run(app);
    const folder = join(pod.folder, 'logs');
    expect(readdirSync(folder).sort()).toEqual(['box', 'box.1']);
    for (const name of ['box', 'box.1'])
      expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(10 << 20);
    expect((await logs(pod.uuid, '-o', 'cat')).slice(-2)).toBe('4\n');
  });

  test('is for root: nobody else can read what is recorded', async () => {
    const { pod } = await box.run('echo secret');
    expect(statSync(join(pod.folder, 'logs')).mode & 0o077).toBe(0);
  });

  test('says why there is nothing of a pod that was not recorded', async () => {
    const fly = await box.run('echo fly', { pod: [FLY] });
    const { code, stderr } = await box.local.rkt(['logs', fly.pod.uuid]);
    expect(code).toBe(254);
    expect(stderr).toMatch(/nothing is recorded of pod .*: an app of the fly flavour/);
    const prepared = await box.prepare();
    expect((await box.local.rkt(['logs', prepared])).stderr).toMatch(/it has not run/);
  });

  test('names the apps of the pod when it is asked for another', async () => {
    const { pod } = await box.run('true');
    const { code, stderr } = await box.local.rkt(['logs', '--app=nope', pod.uuid]);
    expect(code).toBe(254);
    expect(stderr).toMatch(/no app "nope" in this pod: it has box/);
  });
});
