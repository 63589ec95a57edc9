import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Box, type StartedPod } from './box.ts';
import { BOX } from './image.ts';

const box = new Box();

describe('with no pods', () => {
  test('list prints its header', async () => {
    expect(await box.ok(['list'])).toMatch(
      /^UUID\s+APP\s+IMAGE NAME\s+STATE\s+CREATED\s+STARTED\s+NETWORKS\n$/,
    );
  });

  test('list --no-legend prints nothing', async () => {
    expect(await box.ok(['list', '--no-legend'])).toBe('');
  });

  test('list --format=json prints null', async () => {
    expect(await box.ok(['list', '--format=json'])).toBe('null\n');
  });
});

describe('with pods in several states', () => {
  let running: StartedPod;
  let exited: string;
  let prepared: string;
  beforeAll(async () => {
    running = box.start('echo ready; exec sleep 1000');
    const args = [
      BOX,
      '--name=a',
      '--',
      'sleep 0.5',
      '---',
      BOX,
      '--name=b',
      '--',
      'sleep 1; exit 3',
    ];
    [exited, prepared] = await Promise.all([
      box.runPod(args).then(({ pod }) => pod.uuid),
      box.prepare(),
      running.running.printed(/ready/),
    ]);
  });
  afterAll(async () => {
    await running.running.kill('SIGTERM');
    await running.running.done;
  });

  test('list shows each with its state, apps below each other, columns split by tabs', async () => {
    const lines = (await box.ok(['list', '--no-legend']))
      .split('\n')
      .map((line) => line.split(/\t+/));
    const of = (uuid: string) => lines.find(([id]) => id === uuid.slice(0, 8));
    expect(of(running.uuid)?.slice(1, 4)).toEqual(['box', `${BOX}:1.0`, 'running']);
    expect(of(exited)?.slice(1, 4)).toEqual(['a', `${BOX}:1.0`, 'exited']);
    expect(of(prepared)?.slice(1, 4)).toEqual(['box', `${BOX}:1.0`, 'prepared']);
    expect(lines).toContainEqual(expect.arrayContaining(['', 'b', `${BOX}:1.0`]));
  });

  test('list --full shows whole UUIDs, image ids and times', async () => {
    const text = await box.ok(['list', '--full', '--no-legend']);
    expect(text).toContain(running.uuid);
    expect(text).toContain(`\t${box.keys.get(BOX)?.slice(0, 19)}\t`);
    expect(text).toMatch(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
  });

  test('list --format=json is one line with an object for each pod', async () => {
    const text = await box.ok(['list', '--format=json']);
    expect(text.trimEnd()).not.toContain('\n');
    const pods = JSON.parse(text);
    expect(pods).toHaveLength(3);
    const now = Date.now() / 1000;
    expect(pods).toContainEqual(
      expect.objectContaining({ name: running.uuid, state: 'running', app_names: ['box'] }),
    );
    const both = pods.find((pod: { name: string }) => pod.name === exited);
    expect(both.apps).toMatchObject([
      { name: 'a', state: 'exited', exit_code: 0, image_id: box.keys.get(BOX) },
      { name: 'b', state: 'exited', exit_code: 3 },
    ]);
    expect(Math.abs(both.created_at - now)).toBeLessThan(600);
    expect(both.apps[0].finished_at / 1e9).toBeGreaterThanOrEqual(both.started_at);
    const waiting = pods.find((pod: { name: string }) => pod.name === prepared);
    expect(waiting).not.toHaveProperty('started_at');
    expect(waiting.apps[0]).not.toHaveProperty('exit_code');
  });

  test('list --format=json-pretty is the same, indented by tabs', async () => {
    const pretty = await box.ok(['list', '--format=json-pretty']);
    expect(pretty).toContain('\n\t');
    expect(JSON.parse(pretty)).toEqual(JSON.parse(await box.ok(['list', '--format=json'])));
  });

  test('list --format=other is an error', async () => {
    expect((await box.local.rkt(['list', '--format=yaml'])).code).toBe(254);
  });

  test('status of a running pod has its pid and no results', async () => {
    const text = await box.ok(['status', running.uuid]);
    expect(text).toMatch(
      /^state=running\ncreated=.*\nstarted=.*\nnetworks=.*\npid=\d+\nexited=false\n$/,
    );
  });

  test('status of an ended pod has its results, sorted', async () => {
    const text = await box.ok(['status', exited]);
    expect(text).toMatch(/^state=exited\n[\s\S]*exited=true\napp-a=0\napp-b=3\n$/);
  });

  test('status of a prepared pod has neither start nor results', async () => {
    expect(await box.ok(['status', prepared])).toMatch(/^state=prepared\ncreated=.*\n$/);
  });

  test("status --format=json is the pod's object of list", async () => {
    const one = JSON.parse(await box.ok(['status', '--format=json', exited]));
    expect(JSON.parse(await box.ok(['list', '--format=json']))).toContainEqual(one);
  });

  test('status takes a UUID file, with or without a newline', async () => {
    const text = await box.ok(['status', `--uuid-file=${box.file(`${exited}\n`)}`]);
    expect(text).toContain('state=exited\n');
  });

  test.each([
    ['both a UUID and a file', ['x', '--uuid-file=/dev/null'], 254],
    ['neither of them', [], 254],
    ['a UUID file that cannot be read', ['--uuid-file=/tmp/rkt-missing'], 1],
    ['a UUID that no pod has', ['zzz'], 254],
    ['an empty UUID', [''], 254],
  ])('status with %s fails', async (_, args, code) => {
    const result = await box.local.rkt(['status', ...args]);
    expect(result.code).toBe(code);
    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(/^rkt: status: /);
  });

  test('a prefix that several pods share is ambiguous, and says how many', async () => {
    // One of two pods gets a name by hand: UUIDs that start alike cannot be had otherwise.
    const twin = exited.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    const alike = join(box.local.dir, 'pods/prepared', twin);
    mkdirSync(alike);
    const { code, stderr } = await box.local.rkt(['status', exited.slice(0, 8)]);
    rmSync(alike, { recursive: true });
    expect(code).toBe(254);
    expect(stderr).toMatch(/ambiguous uuid.*2 matches/);
  });

  test('what is not named as a pod is left alone by list and gc', async () => {
    const stray = join(box.local.dir, 'pods/run', `${exited}.bak`);
    mkdirSync(stray);
    expect((await box.local.rkt(['list'])).code).toBe(0);
    expect((await box.local.rkt(['gc', '--mark-only'])).code).toBe(0);
    expect(existsSync(stray)).toBe(true);
    rmSync(stray, { recursive: true });
  });

  test('a pod whose manifest is broken is reported, and the others are listed', async () => {
    const broken = await box.prepare();
    writeFileSync(join(box.podFolder(broken), 'pod'), '{"acKind":');
    const { code, stdout, stderr } = await box.local.rkt(['list', '--full']);
    expect(code).toBe(0);
    expect(stdout).toContain(running.uuid);
    expect(stdout).not.toContain(broken);
    expect(stderr).toContain(broken);
    await box.ok(['rm', broken]);
  });

  test.each(['--wait=0', '--wait=false', '--wait=f', '--wait-ready=0'])(
    'status %s returns at once',
    async (flag) => {
      expect(await box.ok(['status', flag, running.uuid])).toContain('state=running');
    },
  );

  test.each(['--wait=200ms', '--wait=0.2s'])(
    'status %s of a long pod is an error',
    async (flag) => {
      const { code, stdout, stderr } = await box.local.rkt(['status', flag, running.uuid]);
      expect(code).toBe(254);
      expect(stdout).toBe('');
      expect(stderr).toContain('error waiting for pod to finish');
    },
  );

  test.each(['--wait=5', '--wait=soon', '--wait-ready=5'])('status %s is misuse', async (flag) => {
    const { code, stderr } = await box.local.rkt(['status', flag, running.uuid]);
    expect(code).toBe(254);
    expect(stderr).toMatch(/--wait/);
  });

  test.each(['--wait-ready', '--wait-ready=10s', '--wait-ready=-1s'])(
    'status %s of a ready pod returns',
    async (flag) => {
      expect(await box.ok(['status', flag, running.uuid])).toContain('state=running');
    },
  );

  test('status --wait-ready of a pod that ended before is an error', async () => {
    const { code, stderr } = await box.local.rkt(['status', '--wait-ready', await ended()]);
    expect(code).toBe(254);
    expect(stderr).toContain('error waiting for pod readiness');
  });
});

/** A pod that failed before its app was started. */
async function ended(): Promise<string> {
  return (await box.run('true', { app: ['--user=nobody-here'] })).pod.uuid;
}

test.each(['--wait', '--wait=', '--wait=1', '--wait=t', '--wait=-1s', '--wait=50s'])(
  'status %s returns when the pod has ended',
  async (flag) => {
    const pod = box.start('echo ready; read line; exit 2', { pod: ['--interactive'] });
    // Its input has ended, so that it ends by itself soon.
    await pod.running.printed(/ready/);
    const text = await box.ok(['status', flag, pod.uuid]);
    expect(text).toContain('state=exited\n');
    expect(text).toContain('app-box=2\n');
  },
);

test('status --wait of a prepared pod waits for its start and its end', async () => {
  const uuid = await box.prepare('exit 6');
  const waiting = box.ok(['status', '--wait', uuid]);
  await box.local.rkt(['run-prepared', '--net=none', uuid]);
  expect(await waiting).toContain('app-box=6\n');
});

test('status --wait-ready tells of a start once every app runs', async () => {
  const uuid = await box.prepare('exec sleep 1000');
  const waiting = box.ok(['status', '--wait-ready', uuid]);
  const running = box.local.start(['run-prepared', '--net=none', uuid]);
  expect(await waiting).toContain('state=running\n');
  await running.kill('SIGTERM');
  await running.done;
});
