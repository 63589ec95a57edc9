import { readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import { importAci } from '../../../src/image/import-aci.ts';
import { importLayer } from '../../../src/image/layer.ts';
import type { Store } from '../../../src/image/store.ts';
import { scratch } from './scratch.ts';
import { aci, archive } from './tar-maker.ts';

/** Stands in for the sync of a disk, of which nothing is to be seen without a power cut. */
let sync = async (): Promise<void> => {};
vi.mock(import('../../../src/os/syscalls.ts'), async (original) => ({
  ...(await original()),
  syncfsAsync: () => sync(),
}));

/** All that has its final name. */
const named = (store: Store): string[] =>
  (['tree', 'blob', 'image'] as const).flatMap((part) => readdirSync(store.path(part)));

const imports = {
  'a layer': (store: Store) => {
    const bytes = archive([{ name: 'file', content: 'content' }]);
    return importLayer(store, { name: 'layer 1', open: () => Readable.from([bytes]) });
  },
  'an ACI': async (store: Store, file: (name: string, data: Buffer) => string) => {
    const path = file('a.aci', aci([{ name: 'rootfs/file', content: 'content' }]));
    return (await importAci(store, path)).key;
  },
};

describe.each(Object.entries(imports))('%s', (_what, bring) => {
  test('has no final name before all of it is on the disk, and has one then', async () => {
    const { store, file } = scratch();
    const atSync: string[][] = [];
    sync = async () => {
      atSync.push(named(store));
      await new Promise((resolve) => setImmediate(resolve));
      atSync.push(named(store));
    };
    const id = await bring(store, file);
    expect(atSync).toEqual([[], []]);
    expect(named(store)).toContain(id);
  });

  test('that the disk does not take leaves nothing', async () => {
    const { store, file } = scratch();
    sync = () => Promise.reject(new Error('EIO'));
    await expect(bring(store, file)).rejects.toMatchObject({ code: 'io' });
    expect(named(store)).toEqual([]);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });
});
