import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { leaveLostNetworks } from '../../../src/net/leave.ts';
import { lostAttachments } from '../../../src/net/state.ts';

const folder = mkdtempSync(join(tmpdir(), 'rkt-leave-'));
afterEach(() => rmSync(folder, { recursive: true }));

test('an interface whose record is lost is forgotten once every network could be left', () => {
  const pod = join(folder, 'pod');
  const config = join(folder, 'net.d');
  const plugins = join(folder, 'plugins');
  for (const path of [join(pod, 'net'), config, plugins]) mkdirSync(path, { recursive: true });
  writeFileSync(join(pod, 'net/00.conf'), '');
  const mine = { cniVersion: '1.0.0', name: 'mine', type: 'mine' };
  writeFileSync(join(config, '10-mine.conf'), JSON.stringify(mine));
  // What the built-in networks need, and one that fails until it is mended.
  for (const name of ['ptp', 'bridge', 'host-local', 'mine']) plugin(join(plugins, name), 'true');
  plugin(join(plugins, 'mine'), 'exit 1');
  const leave = () => {
    const warnings: string[] = [];
    const options = { folders: [plugins], deadline: 5000 };
    leaveLostNetworks(pod, 'uuid', config, options, (message) => warnings.push(message));
    return { warnings, lost: lostAttachments(pod).map(({ file }) => file) };
  };

  expect(leave()).toEqual({
    warnings: ['network "mine": CNI plugin "mine" (DEL) failed: it ended with 1'],
    lost: ['00.conf'],
  });
  plugin(join(plugins, 'mine'), 'true');
  expect(leave()).toEqual({ warnings: [], lost: [] });
});

function plugin(path: string, script: string): void {
  writeFileSync(path, `#!/bin/sh\ncat > /dev/null\n${script}\n`);
  chmodSync(path, 0o755);
}
