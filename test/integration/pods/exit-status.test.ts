import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const box = new Box(
  {
    name: 'example.org/foreign',
    files: { '/bin/script': { text: '#!/lib/missing-loader\n', mode: 0o755 } },
  },
  { name: 'example.org/linked', busybox: false, files: { '/sbin': { link: 'tools/x/../bin' } } },
);

/** A folder of the host with a busybox. */
function tools(): string {
  const folder = box.folder();
  for (const name of ['bin', 'x']) mkdirSync(join(folder, name));
  copyFileSync('/bin/busybox', join(folder, 'bin/sh'));
  return folder;
}

/** Apps named a, b, … of the box, each with its script. */
function apps(...scripts: readonly string[]): string[] {
  return scripts.flatMap((script, index) => [
    BOX,
    `--name=${String.fromCharCode(97 + index)}`,
    '--',
    script,
    '---',
  ]);
}

describe('one app', () => {
  test.each([0, 1, 42, 255])('gives its exit status %i to the caller', async (code) => {
    const { code: seen, pod } = await box.run(`exit ${code}`);
    expect(seen).toBe(code);
    expect(pod.status()).toBe(`${code}\n`);
  });

  test.each([
    ['KILL', 137],
    ['SEGV', 139],
    ['USR1', 138],
    ['34', 162],
  ])('killed by signal %s counts as 128 + signal', async (signal, code) => {
    const { code: seen, pod } = await box.run(`kill -${signal} $$`);
    expect(seen).toBe(code);
    expect(pod.status()).toBe(`${code}\n`);
  });

  test('that ends by a SIGTERM of its own, while nothing stops the pod, has failed', async () => {
    const { code, pod } = await box.run('kill -TERM $$');
    expect(code).toBe(143);
    expect(pod.status()).toBe('143\n');
  });

  test('whose program is missing ends with 203 and a line that names it', async () => {
    const { code, stderr, pod } = await box.runPod([BOX, '--exec=/bin/nothing']);
    expect(code).toBe(203);
    expect(pod.status()).toBe('203\n');
    expect(stderr).toContain('/bin/nothing');
  });

  test('whose interpreter is missing ends with 203 and a line that names it', async () => {
    const args = ['example.org/foreign', '--name=box', '--exec=/bin/script'];
    const { code, stderr } = await box.runPod(args);
    expect(code).toBe(203);
    expect(stderr).toContain('/lib/missing-loader');
  });

  test('whose working directory is missing ends with 200 and a line that names it', async () => {
    const { code, stderr, pod } = await box.run('true', { app: ['--working-dir=/nowhere'] });
    expect(code).toBe(200);
    expect(pod.status()).toBe('200\n');
    expect(stderr).toContain('its working directory /nowhere is not a folder');
  });

  test('whose program comes from a volume, behind a link of the image, is not said to lack it', async () => {
    const { stdout, stderr } = await box.runPod([
      `--volume=tools,kind=host,source=${tools()}`,
      'example.org/linked',
      '--name=box',
      '--mount=volume=tools,target=/tools',
      '--exec=/sbin/sh',
      '--working-dir=/dev/shm',
      '--',
      '-c',
      'pwd',
    ]);
    expect(stdout).toBe('/dev/shm\n');
    expect(stderr).toBe('');
  });
});

describe('several apps', () => {
  test('that succeed give 0, and the pod lives until the last one ends', async () => {
    const { code, stdout, pod } = await box.runPod(apps('exit 0', 'sleep 0.3; echo last'));
    expect(code).toBe(0);
    expect(stdout).toBe('last\n');
    expect([pod.status('a'), pod.status('b')]).toEqual(['0\n', '0\n']);
  });

  test('end with the first failure, and the others, stopped in order, record 0', async () => {
    const fails = 'until [ -e /on/b ] && [ -e /on/c ]; do sleep 0.05; done; exit 3';
    const patient = 'trap "echo told; exit 0" TERM; touch /on/b; while :; do sleep 0.05; done';
    const all = apps(fails, patient, 'touch /on/c; exec sleep 1000');
    const { code, stdout, pod } = await box.runPod(all, {
      pod: ['--volume=on,kind=empty', '--mount=volume=on,target=/on'],
    });
    expect(code).toBe(3);
    expect(stdout).toBe('told\n');
    expect([pod.status('a'), pod.status('b'), pod.status('c')]).toEqual(['3\n', '0\n', '0\n']);
  });

  test('end with the failure of one that outlives a success', async () => {
    const { code, pod } = await box.runPod(apps('exit 0', 'sleep 0.3; exit 9'));
    expect(code).toBe(9);
    expect([pod.status('a'), pod.status('b')]).toEqual(['0\n', '9\n']);
  });
});

describe('a failure of rkt itself gives 254 and says why in a line', () => {
  test.each([
    ['no image', []],
    ['an unknown image', ['example.org/nothing']],
    ['arguments without an image', ['--', 'a']],
    ['an unknown user', [BOX, '--user=nobody-here', '--', 'true']],
    ['a program that is on no PATH', [BOX, '--exec=nothing']],
  ])('%s', async (_, args) => {
    const { code, stdout, stderr } = await box.local.rkt(['run', '--net=none', ...args]);
    expect(code).toBe(254);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^rkt: run: .*\n(usage: .*\n)?$/);
  });

  test('a network that is nowhere defined, with where to define it', async () => {
    const { code, stderr } = await box.run('true', { pod: ['--net=some-net'] });
    expect(code).toBe(254);
    expect(stderr).toMatch(/^rkt: run: networks not found: some-net: .*\/etc\/rkt\/net\.d\n$/);
  });

  test('leaves no pod that looks like a running one', async () => {
    const { pod } = await box.run('true', { app: ['--user=nobody-here'] });
    expect(await box.state(pod.uuid)).toBe('exited');
  });
});
