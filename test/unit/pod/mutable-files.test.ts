import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { appsInfo } from '../../../src/pod/mutable-files.ts';

test('a pod that was moved meanwhile is not made anew', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'rkt-mutable-'));
  onTestFinished(() => rmSync(scratch, { recursive: true }));
  const folder = join(scratch, 'pod');
  const uuid = 'aaaaaaaa-1111-4111-8111-111111111111';
  const pod = { uuid, group: 'run', folder, state: 'running' } as const;
  expect(() => appsInfo(pod)).toThrow('ENOENT');
  expect(existsSync(folder)).toBe(false);
  mkdirSync(folder);
  for (let n = 0; n < 2; n++) expect(appsInfo(pod)).toBe(join(folder, 'appsinfo'));
  expect(readdirSync(folder)).toEqual(['appsinfo']);
});
