import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Box, type StartedPod } from './box.ts';
import { BOX } from './image.ts';

const box = new Box();

const graceful = 'trap "echo told; exit 0" TERM; echo ready; while :; do sleep 0.05; done';
const deaf = 'trap "echo told" TERM; echo ready; while :; do sleep 0.05; done';

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  test('stops the app in order, which counts as a success', async () => {
    const pod = box.start(graceful);
    await pod.running.printed(/ready/);
    await pod.running.kill(signal);
    expect(await pod.running.done).toMatchObject({ code: 0, stdout: 'ready\ntold\n' });
    expect(pod.status()).toBe('0\n');
  });

  test('sent a second time kills at once', async () => {
    const pod = box.start(deaf);
    await pod.running.printed(/ready/);
    await pod.running.kill(signal);
    await pod.running.printed(/told/);
    await pod.running.kill(signal);
    const { code } = await pod.running.done;
    expect(code).not.toBe(0);
    expect(await box.state(pod.uuid)).toBe('exited');
  });
});

test('an app that is told to stop and fails gives its status', async () => {
  const pod = box.start('trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done');
  await pod.running.printed(/ready/);
  await pod.running.kill('SIGTERM');
  await pod.running.done;
  expect(pod.status()).toBe('7\n');
});

test('an app without a handler, which SIGTERM ends, counts as stopped in order', async () => {
  const pod = box.start('echo ready; exec sleep 1000');
  await pod.running.printed(/ready/);
  await pod.running.kill('SIGTERM');
  expect((await pod.running.done).code).toBe(0);
  expect(pod.status()).toBe('0\n');
});

test('every app of a pod is told to stop', async () => {
  const one = 'trap "echo told; exit 0" TERM; echo ready; while :; do sleep 0.05; done';
  const pod = box.startPod([BOX, '--name=a', '--', one, '---', BOX, '--name=b', '--', one]);
  await pod.running.printed(/ready\nready/);
  await pod.running.kill('SIGTERM');
  expect((await pod.running.done).stdout).toBe('ready\nready\ntold\ntold\n');
});

test('SIGTERM ends a pod whose systemd runs but does not listen yet', async () => {
  const pod = box.start('sleep 1000');
  while (firstProcess(pod) !== 'systemd') await delay(1);
  await pod.running.kill('SIGTERM');
  await pod.running.done;
  expect(await box.state(pod.uuid)).toBe('exited');
});

/** The program that is the first process in the pod at the moment. */
function firstProcess(pod: StartedPod): string | undefined {
  try {
    const children = `/proc/${pod.supervisor}/task/${pod.supervisor}/children`;
    const [pid = ''] = readFileSync(children, 'utf8').trim().split(' ');
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

test('SIGTERM during the start ends the pod', async () => {
  const pod = box.start('sleep 1000');
  await pod.running.kill('SIGTERM');
  expect((await pod.running.done).code).not.toBe(0);
});
