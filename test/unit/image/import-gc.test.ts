import { readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/image/byte-range.ts';
import { collectImages } from '../../../src/image/image-gc.ts';
import { type LocalImage, storeLocalImage } from '../../../src/image/local-image.ts';
import { removeImage } from '../../../src/image/remove.ts';
import type { Store } from '../../../src/image/store.ts';
import { scratch } from './scratch.ts';
import { archive } from './tar-maker.ts';

const layer = (name: string): Buffer => archive([{ name, content: name }]);

/** An image of a layer `base` and one of its own, which `between` runs ahead of. */
function imageOf(name: string, between = () => {}): LocalImage {
  const bytes = [layer('base'), layer(name)];
  const config = Buffer.from(
    JSON.stringify({
      ...{ os: 'linux', architecture: 'amd64', author: name },
      rootfs: { type: 'layers', diff_ids: bytes.map((each) => sha256(each)) },
    }),
  );
  return {
    where: name,
    reference: name,
    config,
    configDigest: sha256(config),
    layers: bytes.map((each, n) => ({
      name: `layer ${n}`,
      open() {
        if (n === 1) between();
        return Readable.from([each]);
      },
    })),
  };
}

function collect(store: Store): void {
  const failed = (error: unknown) => {
    throw error;
  };
  const inUse = { images: new Set<string>(), trees: new Set<string>() };
  const report = { removed() {}, removedTrees() {}, failed };
  collectImages(store, { gracePeriod: 0, inUse }, report);
}

test('image gc leaves an import in progress its layers, whatever the grace period', async () => {
  const { store } = scratch();
  const image = await storeLocalImage(
    store,
    imageOf('a', () => collect(store)),
    () => {},
  );
  expect(store.get(image.key)).toBeDefined();
  expect(readdirSync(store.path('tree')).sort()).toEqual([...image.layers].sort());
});

test('image rm leaves an import in progress the layers that it shares', async () => {
  const { store } = scratch();
  const { key } = await storeLocalImage(store, imageOf('a'), () => {});
  const remove = () => removeImage(store, key, () => false);
  const image = await storeLocalImage(store, imageOf('b', remove), () => {});
  expect(store.list().map((one) => one.key)).toEqual([image.key]);
  collect(store);
  expect(readdirSync(store.path('tree'))).toEqual([]);
});
