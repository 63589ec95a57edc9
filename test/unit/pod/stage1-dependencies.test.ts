import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { preparePod } from '../../../src/pod/prepare.ts';
import { aciOf, dependsOn, file, store as keep } from '../image/images.ts';
import { scratch } from '../image/scratch.ts';

test('the root of a stored stage1 has what its image depends on, below its own files', async () => {
  const { store } = scratch();
  await keep(store, aciOf('base', {}, [file('library', 'of the base'), file('both', 'base')]));
  const image = await keep(store, aciOf('stage1', dependsOn('base'), [file('both', 'stage1')]));
  const { pod, lock } = await preparePod({
    store,
    manifest: {
      acKind: 'PodManifest',
      acVersion: '0.8.11',
      apps: [],
      volumes: [],
      isolators: [],
      annotations: [],
      ports: [],
      userAnnotations: {},
      userLabels: {},
    },
    images: [],
    stage1: { kind: 'stored', image },
    noOverlay: true,
    announce: () => {},
    warn: () => {},
  });
  const root = join(pod.folder, 'stage1/rootfs');
  expect(readFileSync(join(root, 'library'), 'utf8')).toBe('of the base');
  expect(readFileSync(join(root, 'both'), 'utf8')).toBe('stage1');
  lock.release();
});
