import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { collectPods } from '../../../src/pod/gc.ts';
import { GROUPS, podFolder } from '../../../src/pod/layout.ts';
import { refreshPod } from '../../../src/pod/pods.ts';

const POD = 'aaaaaaaa-1111-4111-8111-111111111111';
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rkt-gc-'));
  const made = dir;
  onTestFinished(() => rmSync(made, { recursive: true }));
  for (const group of GROUPS) mkdirSync(join(dir, 'pods', group), { recursive: true });
  mkdirSync(podFolder(dir, 'run', POD));
  // No metadata service runs here: to leave it fails, and that is told while the lock is held.
  writeFileSync(join(podFolder(dir, 'run', POD), 'mds-registered'), '');
});

/** The pod's state at each word of a collection. */
async function statesWhileCollecting(markOnly: boolean): Promise<(string | undefined)[]> {
  const states: (string | undefined)[] = [];
  await collectPods(
    { dataDir: dir, localConfig: dir },
    { gracePeriod: 60_000, expirePrepared: 60_000, markOnly },
    {
      note: (message) => {
        if (message.includes('metadata service')) states.push(refreshPod(dir, POD)?.state);
      },
      failed: (error) => {
        throw error;
      },
    },
  );
  return states;
}

test('a pod that has ended does not pass for running while it is marked', async () => {
  expect(await statesWhileCollecting(true)).toEqual(['exited deleting']);
});

test('what could not be ended is tried again by the next collection, not by each marking', async () => {
  await statesWhileCollecting(true);
  expect(await statesWhileCollecting(true)).toEqual([]);
  expect(await statesWhileCollecting(false)).toEqual(['exited deleting']);
});
