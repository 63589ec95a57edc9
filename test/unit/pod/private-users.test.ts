import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { chooseIdRange, readIdRange } from '../../../src/pod/private-users.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'rkt-ranges-'));
afterAll(() => rmSync(dataDir, { recursive: true }));

/** A pod's folder in a group; the head of its UUID decides where the search for a range begins. */
function pod(group: string, head: string, tail: string): string {
  const folder = join(dataDir, 'pods', group, `${head}-0000-4000-8000-${tail.padStart(12, '0')}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

test('pods that would begin with the same range get different ones, whatever group they are in', () => {
  const folders = ['run', 'garbage', 'prepare'].map((group, n) => pod(group, '00000005', `${n}`));
  const shifts = folders.map((folder) => chooseIdRange(dataDir, folder).shift);
  expect(shifts).toEqual([13, 14, 15].map((n) => n * 65_536));
  expect(folders.map((folder) => readIdRange(folder)?.shift)).toEqual(shifts);
});

test('the range of a pod that was removed is free again', () => {
  const first = pod('run', '00000100', '1');
  const { shift } = chooseIdRange(dataDir, first);
  rmSync(first, { recursive: true });
  expect(chooseIdRange(dataDir, pod('run', '00000100', '2')).shift).toBe(shift);
});

test('ranges are among those that systemd leaves to containers', () => {
  for (const head of ['00000000', 'ffffffff', '00006ff7', '00006ff8', '80000000']) {
    const { shift, count } = chooseIdRange(dataDir, pod('prepared', head, '3'));
    expect(shift).toBeGreaterThanOrEqual(0x80000);
    expect(shift + count - 1).toBeLessThanOrEqual(0x6fffffff);
  }
});

test('a pod without a user namespace has no range', () => {
  expect(readIdRange(pod('run', '00000200', '4'))).toBeUndefined();
});
