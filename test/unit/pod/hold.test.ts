// Commands that look at a pod, or do something with it, while a collection moves it.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { tryLockFolder } from '../../../src/os/lock.ts';
import { Attachment } from '../../../src/pod/attach.ts';
import { enterPod } from '../../../src/pod/enter.ts';
import { PodError } from '../../../src/pod/error.ts';
import { holdPod } from '../../../src/pod/hold.ts';
import { GROUPS, type Group, podFolder } from '../../../src/pod/layout.ts';
import { PodLogs } from '../../../src/pod/logs.ts';
import { startApp } from '../../../src/pod/mutable.ts';
import { findPod, movePod, type Pod } from '../../../src/pod/pods.ts';
import { reloadPod } from '../../../src/pod/reload.ts';
import { stopPod } from '../../../src/pod/stop.ts';
import { whenFree } from '../../../src/pod/when-free.ts';
import { podLine, podManifest, podProperties } from '../../../src/service/pods.ts';

const UUID = 'aaaaaaaa-1111-4111-8111-111111111111';
const MANIFEST = JSON.stringify({
  acKind: 'PodManifest',
  acVersion: '0.8.11',
  apps: [{ name: 'box', image: { id: `sha512-${'0'.repeat(64)}` }, mounts: [] }],
  volumes: [],
  annotations: [{ name: 'coreos.com/rkt/stage1/mutable', value: 'true' }],
  userAnnotations: {},
  userLabels: {},
});
const LINE = '2026-01-02T03:04:05.000000000Z stdout F';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rkt-hold-'));
  const made = dir;
  onTestFinished(() => rmSync(made, { recursive: true }));
  for (const group of GROUPS) mkdirSync(join(dir, 'pods', group), { recursive: true });
});

function make(group: Group): Pod {
  const folder = podFolder(dir, group, UUID);
  mkdirSync(join(folder, 'logs'), { recursive: true });
  writeFileSync(join(folder, 'pod'), MANIFEST);
  writeFileSync(join(folder, 'logs/box'), `${LINE} one\n`);
  return findPod(dir, UUID);
}

/** A pod as it was found while it ran; meanwhile it has ended, and was marked. */
function marked(): Pod {
  const pod: Pod = { ...make('run'), state: 'running' };
  movePod(dir, pod, 'exited-garbage');
  return pod;
}

describe('a pod that is held', () => {
  test('is found where it has moved to', () => {
    expect(holdPod(dir, marked())).toMatchObject({ uuid: UUID, state: 'exited garbage' });
  });

  test('that is gone is an error', () => {
    const pod = make('run');
    rmSync(pod.folder, { recursive: true });
    expect(() => holdPod(dir, pod)).toThrow(`pod "${UUID}" was removed meanwhile`);
  });

  test('has all of its logs, those too that came after it was looked at, and was moved', () => {
    const pod = make('run');
    const logs = new PodLogs(dir, holdPod(dir, pod), {});
    const texts = () => logs.read().map(({ text }) => text.toString());
    expect(texts()).toEqual(['one']);
    const { folder } = movePod(dir, pod, 'exited-garbage');
    appendFileSync(join(folder, 'logs/box'), `${LINE} two\n`);
    renameSync(join(folder, 'logs/box'), join(folder, 'logs/box.1'));
    writeFileSync(join(folder, 'logs/box'), `${LINE} three\n`);
    expect(texts()).toEqual(['two', 'three']);
    logs.close();
  });

  test('that has ended is not entered, and says so', async () => {
    const held: Pod = { ...holdPod(dir, marked()), state: 'running' };
    const command = { argv: ['true'], as: 'root', term: '' } as const;
    await expect(enterPod(dir, held, undefined, command)).rejects.toThrow(
      `pod "${UUID}" has ended: it is exited garbage`,
    );
  });

  test('that has ended is not reloaded, and says so', () => {
    const held: Pod = { ...holdPod(dir, marked()), state: 'running' };
    // Of its first process there is nothing any more.
    writeFileSync(join(held.folder, 'pid'), '4194305\n');
    expect(() => reloadPod(dir, held)).toThrow(`pod "${UUID}" is not running`);
  });
});

test('a pod whose relay has ended cannot be attached to, and says so', async () => {
  const pod: Pod = { ...make('run'), state: 'running' };
  const listen = `require('net').createServer().listen('attach', () => process.kill(process.pid, 9))`;
  spawnSync(process.execPath, ['-e', listen], { cwd: pod.folder });
  const before = process.cwd();
  onTestFinished(() => process.chdir(before));
  const attachment = await Attachment.open(dir, pod, undefined);
  await expect(attachment.list()).rejects.toThrow('cannot attach to app "box": the pod has ended');
});

test('a pod that ends by itself when it is to be stopped is stopped', async () => {
  const pod = marked();
  expect(await stopPod(pod, { force: false, patience: 10_000 })).toBe('stopped');
  expect(await stopPod(pod, { force: true, patience: 10_000 })).toBe('stopped');
  expect(existsSync(pod.folder)).toBe(false);
});

test('an app of a pod that has ended meanwhile is not started, and no pod is made', async () => {
  const pod = marked();
  await expect(startApp(pod, 'box', false)).rejects.toThrow(`pod "${UUID}" has ended`);
  expect(existsSync(pod.folder)).toBe(false);
});

describe('the bus API', () => {
  test('tells all of a pod that moves meanwhile', () => {
    const pod = marked();
    expect(podProperties(dir, pod)).toMatchObject({
      State: 'exited garbage',
      Apps: [{ name: 'box' }],
    });
    expect(podLine(dir, pod)).toMatchObject({ state: 'exited garbage', more: { apps: ['box'] } });
    expect(podManifest(dir, pod)).toBe(MANIFEST);
  });

  test('tells that a pod was removed meanwhile', () => {
    const pod = make('run');
    rmSync(pod.folder, { recursive: true });
    expect(() => podManifest(dir, pod)).toThrow('was removed meanwhile');
  });
});

describe('what is done with a pod that nobody works on', () => {
  const busy = new PodError('busy', 'in use');

  test('waits for who marks it', async () => {
    const { folder } = make('exited-garbage');
    const lock = tryLockFolder(folder, 'exclusive');
    const states: string[] = [];
    const done = whenFree(dir, findPod(dir, UUID), async ({ state }) => states.push(state));
    expect(states).toEqual([]);
    lock?.release();
    await done;
    expect(states).toEqual(['exited garbage']);
  });

  test('is tried again where the pod has moved to', async () => {
    const groups: Group[] = [];
    await whenFree(dir, make('run'), async (pod) => {
      if (groups.push(pod.group) > 1) return;
      movePod(dir, pod, 'exited-garbage');
      throw busy;
    });
    expect(groups).toEqual(['run', 'exited-garbage']);
  });

  test('fails with its own error when the pod is on its way', async () => {
    const removed = whenFree(dir, make('run'), async (pod) => {
      movePod(dir, pod, 'garbage');
      throw busy;
    });
    await expect(removed).rejects.toThrow('in use');
  });
});
