import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { closeLoopback } from '../../../src/net/loopback.ts';
import { saveAttachment, savedAttachments } from '../../../src/net/state.ts';

const pod = mkdtempSync(join(tmpdir(), 'rkt-state-'));
afterAll(() => rmSync(pod, { recursive: true }));

test('a record that a power cut has emptied keeps nobody from leaving the other networks', () => {
  const network = {
    name: 'net',
    cniVersion: '1.0.0',
    plugins: [{ type: 'ptp' }],
    disableCheck: false,
    disableGc: false,
  };
  for (const index of [0, 1])
    saveAttachment(pod, index, {
      network,
      containerId: 'pod',
      interfaceName: `eth${index}`,
      args: '',
      netns: '/proc/1/fd/9',
      runtimeConfig: {},
    });
  writeFileSync(join(pod, 'net/00.conf'), '');
  expect(savedAttachments(pod).map(({ file }) => file)).toEqual(['01.conf']);
});

test('nor does what is left of the record of its interfaces', () => {
  const folder = join(pod, 'pods/run/one');
  mkdirSync(join(folder, 'net'), { recursive: true });
  writeFileSync(join(folder, 'net/loopback.json'), '["br');
  closeLoopback(folder);
  expect(existsSync(join(folder, 'net/loopback.json'))).toBe(false);
});
