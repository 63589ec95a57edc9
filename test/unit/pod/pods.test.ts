import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { tryLockFolder } from '../../../src/os/lock.ts';
import { GROUPS, type Group, podFolder } from '../../../src/pod/layout.ts';
import {
  findPod,
  listPods,
  lockPod,
  movePod,
  type Pod,
  readPod,
  refreshPod,
} from '../../../src/pod/pods.ts';

const A = 'aaaaaaaa-1111-4111-8111-111111111111';
const B = 'aaaaaaab-2222-4222-8222-222222222222';
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rkt-pods-'));
  const made = dir;
  onTestFinished(() => rmSync(made, { recursive: true }));
  for (const group of GROUPS) mkdirSync(join(dir, 'pods', group), { recursive: true });
});

function make(group: Group, uuid: string): string {
  const folder = podFolder(dir, group, uuid);
  mkdirSync(folder);
  return folder;
}

describe('the state of a pod', () => {
  test.each([
    ['embryo', 'embryo', 'embryo'],
    ['prepare', 'preparing', 'aborted prepare'],
    ['prepared', 'prepared', 'prepared'],
    ['run', 'running', 'exited'],
    ['exited-garbage', 'exited deleting', 'exited garbage'],
    ['garbage', 'deleting', 'garbage'],
  ] as const)('in %s is %s while it is locked, and else %s', (group, locked, free) => {
    const folder = make(group, A);
    expect(listPods(dir, [group])).toEqual([{ uuid: A, group, folder, state: free }]);
    const lock = tryLockFolder(folder, 'exclusive');
    expect(refreshPod(dir, A)?.state).toBe(locked);
    lock?.release();
    expect(refreshPod(dir, A)?.state).toBe(free);
  });

  test('is unknown for a pod that is gone', () => {
    expect(refreshPod(dir, A)).toBeUndefined();
  });

  test('keeps the lock when it moves', () => {
    make('prepare', A);
    const [pod] = listPods(dir, ['prepare']);
    if (!pod) throw new Error('no pod');
    const lock = lockPod(pod);
    const moved = movePod(dir, pod, 'run');
    expect(moved).toMatchObject({ group: 'run', state: 'running' });
    expect(existsSync(pod.folder)).toBe(false);
    expect(refreshPod(dir, A)?.state).toBe('running');
    expect(lockPod(moved)).toBeUndefined();
    lock?.release();
    expect(refreshPod(dir, A)?.state).toBe('exited');
  });
});

test('no pods folder at all is no pods', () => {
  rmSync(join(dir, 'pods'), { recursive: true });
  expect(listPods(dir, GROUPS)).toEqual([]);
});

test('the lock of a pod that is gone is not to be had', () => {
  make('run', A);
  const [pod] = listPods(dir, ['run']);
  rmSync(podFolder(dir, 'run', A), { recursive: true });
  expect(pod && lockPod(pod)).toBeUndefined();
});

describe('a pod is found', () => {
  test.each(['run', 'exited-garbage', 'prepare', 'prepared'] as const)('in %s', (group) => {
    make(group, A);
    expect(findPod(dir, A)).toMatchObject({ uuid: A, group });
  });

  test.each([
    ['one character', 'a'],
    ['upper case', 'AAAAAAAA'],
    ['white space around it', ` ${A}\n`],
  ])('by %s', (_, prefix) => {
    make('run', A);
    expect(findPod(dir, prefix).uuid).toBe(A);
  });

  test.each(['embryo', 'garbage'] as const)('not in %s', (group) => {
    make(group, A);
    expect(() => findPod(dir, A)).toThrow(`no matches found for "${A}"`);
  });

  test('not by a prefix that several have, in whatever state', () => {
    make('run', A);
    make('prepared', B);
    expect(() => findPod(dir, 'aaaaaaa')).toThrow(/ambiguous uuid "aaaaaaa", 2 matches/);
    expect(findPod(dir, 'aaaaaaab').uuid).toBe(B);
  });

  test('not by nothing', () => {
    expect(() => findPod(dir, ' ')).toThrow('UUID cannot be empty');
  });
});

describe('what is read of a pod', () => {
  const text = (pod: Pod) => readFileSync(join(pod.folder, 'text'), 'utf8');

  function only(group: Group): Pod {
    writeFileSync(join(make(group, A), 'text'), 'as written');
    return findPod(dir, A);
  }

  test('is read again where the pod has moved to meanwhile', () => {
    const pod = only('run');
    movePod(dir, pod, 'exited-garbage');
    expect(readPod(dir, pod, text)).toBe('as written');
  });

  test('is not half of it, when the pod moves while it is read', () => {
    const groups: Group[] = [];
    readPod(dir, only('run'), (found) => {
      if (groups.push(found.group) === 1) movePod(dir, found, 'exited-garbage');
    });
    expect(groups).toEqual(['run', 'exited-garbage']);
  });

  test('is nothing when the pod is gone, or on its way', () => {
    const pod = only('run');
    movePod(dir, pod, 'garbage');
    rmSync(join(podFolder(dir, 'garbage', A), 'text'));
    expect(readPod(dir, pod, text)).toBeUndefined();
    rmSync(podFolder(dir, 'garbage', A), { recursive: true });
    expect(readPod(dir, pod, text)).toBeUndefined();
  });

  test('is an error when it cannot be read where the pod is', () => {
    make('run', A);
    expect(() => readPod(dir, findPod(dir, A), text)).toThrow(/ENOENT/);
  });
});
