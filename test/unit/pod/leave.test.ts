import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { registerPod } from '../../../src/pod/leave.ts';

test('a pod that no metadata service could be told of is not one to be forgotten there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rkt-leave-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'pod'), '{"acKind":"PodManifest","acVersion":"0.8.11","apps":[]}');
  const uuid = 'aaaaaaaa-1111-4111-8111-111111111111';
  const pod = { uuid, group: 'run', folder, state: 'running' } as const;
  await expect(registerPod(pod)).rejects.toThrow('cannot reach the metadata service');
  expect(existsSync(join(folder, 'mds-registered'))).toBe(false);
});
