import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { addImage } from '../../../src/image/publish.ts';
import {
  cacheHeaders,
  forgetRemotes,
  isFresh,
  readRemote,
  writeRemote,
} from '../../../src/image/remote-record.ts';
import { removeImage } from '../../../src/image/remove.ts';
import { scratch } from './scratch.ts';

const key = `sha512-${'a'.repeat(64)}`;
const record = { url: 'https://h/x.aci', key, askedAt: 1_000_000, maxAge: 60, verified: true };

function headers(cacheControl: string | undefined, etag?: string) {
  return cacheHeaders({ header: (name) => (name === 'etag' ? etag : cacheControl) });
}

/** A store with an image under the record's key. */
function withImage() {
  const { store } = scratch();
  const empty = { labels: [], annotations: [], dependencies: [], pathWhitelist: [] };
  const manifest = { acVersion: '0.8.11', name: 'example.com/x', ...empty };
  addImage(store, { key, manifest: { acKind: 'ImageManifest', ...manifest }, layers: [] });
  return store;
}

test.each([
  ['max-age=60', 60],
  ['public, Max-Age=60', 60],
  ['max-age="60"', 60],
  ['s-maxage=60', 0],
  ['max-age=60, no-cache', 0],
  ['no-store,max-age=60', 0],
  ['no-cache="set-cookie", max-age=60', 0],
  ['max-age=soon', 0],
  [undefined, 0],
])('Cache-Control %s means %i seconds', (cacheControl, maxAge) => {
  expect(headers(cacheControl)).toEqual({ maxAge });
});

test('the ETag is kept as it is', () => {
  expect(headers(undefined, 'W/"x"')).toEqual({ etag: 'W/"x"', maxAge: 0 });
});

test.each([
  [0, true],
  [59_999, true],
  [60_000, false],
  [-1, false],
])('a record with 60 seconds, %i ms later: fresh is %s', (later, fresh) => {
  expect(isFresh(record, record.askedAt + later)).toBe(fresh);
});

test('a record comes back with its image', () => {
  const store = withImage();
  writeRemote(store, record);
  expect(readRemote(store, record.url)).toMatchObject({ record, image: { key } });
  expect(readRemote(store, 'https://h/y.aci')).toBeUndefined();
});

test('a record of an image that was removed is none', () => {
  const { store } = scratch();
  store.create();
  writeRemote(store, record);
  expect(readRemote(store, record.url)).toBeUndefined();
});

test('the records of an image can be dropped, and those of others stay', () => {
  const store = withImage();
  writeRemote(store, record);
  writeRemote(store, { ...record, url: 'https://h/y.aci', key: `sha512-${'b'.repeat(64)}` });
  forgetRemotes(store, key);
  expect(readdirSync(join(store.cas, 'remote'))).toHaveLength(1);
  expect(readRemote(store, record.url)).toBeUndefined();
});

test('a store without records has none to drop', () => {
  const { store } = scratch();
  forgetRemotes(store, key);
  expect(existsSync(store.cas)).toBe(false);
});

test('an image that is removed takes along what is known of its URLs', () => {
  const store = withImage();
  writeRemote(store, record);
  removeImage(store, key, () => false);
  expect(readdirSync(join(store.cas, 'remote'))).toEqual([]);
});
