import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importAci } from '../../../src/image/import-aci.ts';
import { addImage, nameAgain, openWorkspace } from '../../../src/image/publish.ts';
import { clearLeftovers, removeImage, removeUnusedTrees } from '../../../src/image/remove.ts';
import { openStore, type Store, type StoredImage } from '../../../src/image/store.ts';
import { scratch } from './scratch.ts';
import { aci, archive, MANIFEST, rootfs } from './tar-maker.ts';

const never = (): boolean => false;
const key = (digits: string): string => `sha512-${digits.padEnd(64, '0')}`;
const parsed = JSON.parse(MANIFEST);

/** An image with any key, whose layers are empty trees. */
function put(
  store: Store,
  id: string,
  layers: string[] = [],
  version = '1.0',
  latest = false,
): StoredImage {
  store.create();
  for (const layer of layers) mkdirSync(store.treeRoot(layer), { recursive: true });
  const labels = [
    { name: 'version', value: version },
    { name: 'os', value: 'linux' },
  ];
  const manifest = { ...parsed, labels, annotations: [], dependencies: [], pathWhitelist: [] };
  return addImage(store, { key: id, manifest, layers, source: { reference: 'x', latest } });
}

describe('keys', () => {
  test.each([
    ['sha512-a', 'bad-key', /image ID too short/],
    ['sha256-aabb', 'bad-key', /wrong key prefix/],
    ['sha512-ff', 'not-found', /no image IDs found/],
    ['sha512-ab', 'ambiguous', /ambiguous image ID/],
    [key('ffff'), 'not-found', /no image IDs found/],
  ])('%s is refused as %s', (prefix, code, message) => {
    const { store } = scratch();
    put(store, key('ab12'));
    put(store, key('ab34'));
    expect(() => store.findByKeyPrefix(prefix)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  test('a prefix of two digits, the whole key and the full 128 digits find the image', () => {
    const { store } = scratch();
    const image = put(store, key('ab12'));
    for (const prefix of ['sha512-ab', 'sha512-ab1', image.key, `${image.key}${'f'.repeat(64)}`])
      expect(store.findByKeyPrefix(prefix)).toEqual(image);
  });
});

describe('names', () => {
  test('all labels asked for must be there', () => {
    const { store } = scratch();
    const image = put(store, key('aa'));
    const find = (name: string, value: string) =>
      store.findByName('example.com/test', [{ name, value }]);
    expect(find('version', '1.0')).toEqual([image]);
    expect(find('version', '2.0')).toEqual([]);
    expect(find('arch', 'amd64')).toEqual([]);
    expect(store.findByName('example.com/other', [])).toEqual([]);
  });

  test('without a version the one that was latest comes first, then the newest import', async () => {
    const { store } = scratch();
    const tick = () => new Promise((done) => setTimeout(done, 3));
    put(store, key('aa'), [], '1.0', true);
    await tick();
    put(store, key('bb'), [], '2.0');
    await tick();
    put(store, key('cc'), [], '3.0');
    const versions = store.findByName('example.com/test', []).map((image) => image.version);
    expect(versions).toEqual(['1.0', '3.0', '2.0']);
  });
});

describe('a name that leads back to an image that is stored', () => {
  const named = (store: Store, ...version: string[]) =>
    store.findByName(
      'example.com/test',
      version.map((value) => ({ name: 'version', value })),
    )[0]?.key;
  const files = ['a', 'b'].map((content) => aci([{ name: 'rootfs/file', content }]));

  test('means that image, when its file comes again', async () => {
    const { store, file } = scratch();
    const [one = '', two = ''] = files.map((bytes, n) => file(`${n}.aci`, bytes));
    const [a, b] = [await importAci(store, one), await importAci(store, two)];
    expect(named(store)).toBe(b.key);
    await importAci(store, one);
    expect(named(store)).toBe(a.key);
    await importAci(store, file('copy.aci', readFileSync(two)));
    expect(named(store)).toBe(b.key);
  });

  test('is the latest where it came as that, and not where its version was asked for', async () => {
    const { store } = scratch();
    const old = put(store, key('01'), [], '1.0', true);
    nameAgain(store, put(store, key('02'), [], '2.0', true), true);
    nameAgain(store, old, false);
    expect(named(store)).toBe(key('02'));
    expect(named(store, '1.0')).toBe(key('01'));
    nameAgain(store, old, true);
    expect(named(store)).toBe(key('01'));
  });
});

describe('a name', () => {
  const infoOf = (store: Store, id: string) => store.path('image', id, 'info');
  const best = (store: Store) => store.findByName('example.com/test', [])[0]?.key;

  /** Puts the time at which an image came an hour ahead. */
  function ahead(store: Store, id: string): void {
    const info = JSON.parse(readFileSync(infoOf(store, id), 'utf8'));
    const importTime = (Date.now() + 3_600_000) * 1e6;
    writeFileSync(infoOf(store, id), JSON.stringify({ ...info, importTime }));
  }

  test('leads to what came last, also when the clock was set back', () => {
    const { store } = scratch();
    const first = put(store, key('0a'));
    ahead(store, first.key);
    put(store, key('0b'));
    expect(best(store)).toBe(key('0b'));
    nameAgain(store, first, false);
    expect(best(store)).toBe(key('0a'));
    put(store, key('0b'));
    expect(best(store)).toBe(key('0b'));
    put(store, key('0c'));
    expect(best(store)).toBe(key('0c'));
  });

  test('is noted though another image cannot be read', () => {
    const { store } = scratch();
    const first = put(store, key('0a'));
    mkdirSync(store.path('image', key('ff')));
    writeFileSync(infoOf(store, key('ff')), 'no JSON');
    put(store, key('0b'));
    nameAgain(store, first, true);
    rmSync(store.path('image', key('ff')), { recursive: true });
    expect(best(store)).toBe(key('0a'));
  });

  test('is not noted again for nothing where another image is the latest', () => {
    const { store } = scratch();
    const old = put(store, key('0a'), [], '1.0');
    put(store, key('0b'), [], '2.0', true);
    nameAgain(store, old, false);
    const before = statSync(infoOf(store, old.key)).ino;
    nameAgain(store, old, false);
    put(store, old.key, [], '1.0');
    expect(statSync(infoOf(store, old.key)).ino).toBe(before);
    expect(store.get(old.key)?.otherNames).toBeUndefined();
  });
});

describe('reading', () => {
  test('a store that is not there is empty, and stays away', () => {
    const { folder } = scratch();
    expect(openStore(join(folder, 'none')).list()).toEqual([]);
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  test('an unprivileged user lists images but does not reach their content', () => {
    const { store, folder } = scratch();
    const image = put(store, key('aa'), ['sha256-t']);
    chmodSync(folder, 0o755);
    const asNobody = (program: string, path: string) =>
      execFileSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', program, path], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
    expect(asNobody('ls', store.path('image')).trim()).toBe(image.key);
    expect(asNobody('cat', store.path('image', image.key, 'info'))).toContain('example.com/test');
    expect(() => asNobody('ls', store.path('tree'))).toThrow(/Permission denied/);
    expect(() => asNobody('ls', store.path('blob'))).toThrow(/Permission denied/);
  });

  test('touch sets the time of last use and nothing else', () => {
    const { store } = scratch();
    const image = put(store, key('aa'));
    const before = Date.now();
    store.touch(image.key);
    const after = store.get(image.key);
    expect(after).toEqual({ ...image, lastUsed: after?.lastUsed });
    expect(after?.lastUsed).toBeGreaterThanOrEqual((before - 1) * 1e6);
    expect(() => store.touch(key('none'))).not.toThrow();
  });
});

describe('adding and removing', () => {
  test('an image whose tree is gone is not added', () => {
    const { store } = scratch();
    const image = put(store, key('aa'), ['sha256-t']);
    const adding = () => addImage(store, { ...image, key: key('bb'), layers: ['sha256-gone'] });
    expect(adding).toThrow(expect.objectContaining({ code: 'not-found' }));
    expect(store.list()).toEqual([image]);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });

  test('an image takes its trees with it, but not those of another image or a pod', () => {
    const { store } = scratch();
    put(store, key('aa'), ['sha256-own', 'sha256-shared', 'sha256-mounted']);
    put(store, key('bb'), ['sha256-shared']);
    removeImage(store, key('aa'), (tree) => tree === 'sha256-mounted');
    expect(readdirSync(store.path('tree')).sort()).toEqual(['sha256-mounted', 'sha256-shared']);
    expect(store.list().map((image) => image.key)).toEqual([key('bb')]);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });

  test('removing an ACI removes its blob and tree', async () => {
    const { store, file } = scratch();
    const bytes = archive([{ name: 'manifest', content: MANIFEST }, rootfs]);
    const image = await importAci(store, file('a.aci', bytes));
    removeImage(store, image.key, never);
    for (const part of ['blob', 'image', 'tree', 'file', 'tmp'] as const)
      expect(readdirSync(store.path(part))).toEqual([]);
  });

  test('a half-written record of a file does not stand in the way', () => {
    const { store } = scratch();
    put(store, key('aa'));
    writeFileSync(store.path('file', 'ff.1.tmp'), '{"k');
    removeImage(store, key('aa'), never);
    expect(readdirSync(store.path('file'))).toEqual([]);
  });

  test('removing what is not there says so', () => {
    const { store } = scratch();
    expect(() => removeImage(store, key('aa'), never)).toThrow(
      expect.objectContaining({ code: 'not-found' }),
    );
  });

  test('the config of an OCI image is its blob, and goes with it', () => {
    const { store } = scratch();
    const { manifest } = put(store, key('bb'), ['sha256-t']);
    addImage(store, { key: key('aa'), manifest, layers: ['sha256-t'], config: Buffer.from('{}') });
    expect(readFileSync(store.blobPath(key('aa')), 'utf8')).toBe('{}');
    removeImage(store, key('aa'), never);
    expect(readdirSync(store.path('blob'))).toEqual([]);
    expect(readdirSync(store.path('tree'))).toEqual(['sha256-t']);
  });

  test('unused trees go, those of images and pods and new ones stay', () => {
    const { store } = scratch();
    put(store, key('aa'), ['sha256-used']);
    for (const id of ['sha256-pod', 'sha256-old'])
      mkdirSync(store.treeRoot(id), { recursive: true });
    const { ctimeMs } = statSync(store.path('tree', 'sha256-old'));
    const inUse = (id: string) => id === 'sha256-pod';
    expect(removeUnusedTrees(store, inUse, ctimeMs)).toEqual([]);
    expect(removeUnusedTrees(store, inUse, ctimeMs + 1)).toEqual(['sha256-old']);
    expect(readdirSync(store.path('tree')).sort()).toEqual(['sha256-pod', 'sha256-used']);
  });

  test('leftovers are cleared, work in progress is not', () => {
    const { store } = scratch();
    const work = openWorkspace(store);
    mkdirSync(store.path('tmp', 'work-of-the-dead', 'tree'), { recursive: true });
    expect(clearLeftovers(store)).toBe(1);
    expect(readdirSync(store.path('tmp'))).toHaveLength(1);
    work.discard();
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });
});
