import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { closureOf, layersOf, planLayers } from '../../../src/image/closure.ts';
import { copyLayers } from '../../../src/image/merge.ts';
import type { Store, StoredImage } from '../../../src/image/store.ts';
import { aciOf, dependsOn, file, folder, store as keep } from './images.ts';
import { scratch, scratchFolder } from './scratch.ts';
import type { Member } from './tar-maker.ts';

/** Brings images of these names in, in this order, and gives the last. */
async function images(
  store: Store,
  ...all: [name: string, fields: object, ...members: Member[]][]
): Promise<StoredImage> {
  let last: StoredImage | undefined;
  for (const [name, fields, ...members] of all)
    last = await keep(store, aciOf(name, { ...fields }, members));
  if (!last) throw new Error('no images');
  return last;
}

/** What a pod of the image sees: the content of each file, `/` for a folder, by path. */
async function seen(store: Store, image: StoredImage): Promise<Record<string, string>> {
  const root = join(scratchFolder(), 'root');
  const layers = await layersOf(store, image);
  copyLayers(
    layers.map((id) => store.treeRoot(id)),
    root,
    scratchFolder(),
  );
  const found: Record<string, string> = {};
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  for (const name of names) {
    const path = join(root, name);
    const stats = lstatSync(path);
    if (stats.isDirectory()) found[name] = '/';
    else if (stats.isSymbolicLink()) found[name] = `-> ${readlinkSync(path)}`;
    else found[name] = readFileSync(path, 'utf8');
  }
  return found;
}

describe('dependencies', () => {
  test('later ones win over earlier ones, the image over all', async () => {
    const { store } = scratch();
    const image = await images(
      store,
      ['one', {}, file('a', '1'), file('b', '1'), file('c', '1')],
      ['two', {}, file('b', '2'), file('c', '2')],
      ['top', dependsOn('one', 'two'), file('c', 'top')],
    );
    expect(await seen(store, image)).toEqual({ a: '1', b: '2', c: 'top' });
  });

  test('are placed depth first: what a later one depends on wins over an earlier one', async () => {
    const { store } = scratch();
    const image = await images(
      store,
      ['deep', {}, file('a', 'deep'), file('b', 'deep')],
      ['one', {}, file('a', 'one')],
      ['two', dependsOn('deep'), file('b', 'two')],
      ['top', dependsOn('one', 'two')],
    );
    expect(closureOf(store, image).map(({ name }) => name)).toEqual(
      ['one', 'deep', 'two', 'top'].map((name) => `example.com/${name}`),
    );
    expect(await seen(store, image)).toEqual({ a: 'deep', b: 'two' });
  });

  test('one that comes twice is placed where it comes last', async () => {
    const { store } = scratch();
    const image = await images(
      store,
      ['base', {}, file('a', 'base')],
      ['one', dependsOn('base'), file('a', 'one')],
      ['two', dependsOn('base'), file('b', 'two')],
      ['top', dependsOn('one', 'two')],
    );
    expect((await layersOf(store, image)).length).toBe(4);
    expect(await seen(store, image)).toEqual({ a: 'base', b: 'two' });
  });

  test('chains that double at each level are walked once', async () => {
    const { store } = scratch();
    const levels = Array.from({ length: 30 }, (_, n): [string, object] => [
      `level${n}`,
      n === 0 ? {} : dependsOn(`level${n - 1}`, `level${n - 1}`),
    ]);
    const image = await images(store, ...levels);
    expect(closureOf(store, image)).toHaveLength(30);
    expect(planLayers(store, image).layers).toHaveLength(30);
  });

  test('a file replaces a folder from below, and the other way round', async () => {
    const { store } = scratch();
    const image = await images(
      store,
      ['base', {}, folder('x'), file('x/lost'), file('y', 'lost'), folder('z'), file('z/lost')],
      ['middle', {}, file('z', 'lost')],
      [
        'top',
        dependsOn('base', 'middle'),
        file('x', 'file'),
        folder('y'),
        file('y/in'),
        folder('z'),
      ],
    );
    expect(await seen(store, image)).toEqual({ x: 'file', y: '/', 'y/in': 'y/in', z: '/' });
  });

  test('a symlink in place of a folder is not followed', async () => {
    const { store } = scratch();
    const image = await images(
      store,
      ['base', {}, folder('lib'), file('lib/a'), folder('usr')],
      ['top', dependsOn('base'), { name: 'rootfs/lib', type: '2', linkName: 'usr' }],
    );
    expect(await seen(store, image)).toEqual({ lib: '-> usr', usr: '/' });
  });

  test('many layers become one', async () => {
    const { store } = scratch();
    const names = Array.from({ length: 45 }, (_, n) => `base${n}`);
    const image = await images(
      store,
      ...names.map((name, n): [string, object, Member] => [name, {}, file(`f${n % 7}`, name)]),
      ['top', dependsOn(...names)],
    );
    const [layer, ...more] = await layersOf(store, image);
    expect(layer).toMatch(/^deps-sha512-[0-9a-f]{64}$/);
    expect(more).toEqual([]);
    expect(await seen(store, image)).toMatchObject({ f0: 'base42', f6: 'base41' });
  });

  const failures: Record<string, [RegExp, ...[string, object][]]> = {
    'a circle': [
      /circle: example.com\/a -> example.com\/b -> example.com\/a/,
      ['b', dependsOn('a')],
      ['a', dependsOn('b')],
    ],
    'an image that depends on itself': [
      /circle: example.com\/a -> example.com\/a/,
      ['a', dependsOn('a')],
    ],
    'one that is not in the store': [
      /dependency "example.com\/gone" of image "example.com\/a": "example.com\/gone" for linux on/,
      ['a', dependsOn('gone')],
    ],
    'one whose labels are others': [
      /"example.com\/b:2.0" for linux on \w+ is not in the store/,
      ['b', {}],
      [
        'a',
        {
          dependencies: [
            { imageName: 'example.com/b', labels: [{ name: 'version', value: '2.0' }] },
          ],
        },
      ],
    ],
    'one with another image ID': [
      /dependency "example.com\/b".*its image ID is sha512-[0-9a-f]{64}, not sha512-a{64}/,
      ['b', {}],
      [
        'a',
        { dependencies: [{ imageName: 'example.com/b', imageID: `sha512-${'a'.repeat(64)}` }] },
      ],
    ],
  };
  test.each(Object.entries(failures))('%s is an error that names it', async (_, [why, ...all]) => {
    const { store } = scratch();
    const image = await images(store, ...all);
    await expect(layersOf(store, image)).rejects.toThrow(why);
  });

  test('the image of an ID is taken, though a newer one has the name', async () => {
    const { store } = scratch();
    const old = await images(store, ['b', {}, file('a', 'old')]);
    const image = await images(
      store,
      ['b', {}, file('a', 'new')],
      ['top', { dependencies: [{ imageName: 'example.com/b', imageID: old.key }] }],
    );
    expect(await seen(store, image)).toEqual({ a: 'old' });
  });

  test('the image of an ID must have the name', async () => {
    const { store } = scratch();
    const other = await images(store, ['other', {}]);
    const image = await images(store, [
      'top',
      { dependencies: [{ imageName: 'example.com/b', imageID: other.key }] },
    ]);
    await expect(layersOf(store, image)).rejects.toThrow('is "example.com/other"');
  });

  test('count as used with the image', async () => {
    const { store } = scratch();
    const base = await images(store, ['base', {}]);
    const image = await images(store, ['top', dependsOn('base')]);
    utimesSync(store.path('image', base.key, 'info'), 0, 0);
    await layersOf(store, image);
    expect(store.get(base.key)?.lastUsed).toBeGreaterThan(0);
  });
});

describe('a whitelist', () => {
  const tree: Member[] = [
    folder('etc', 0o711),
    file('etc/a'),
    file('etc/b'),
    folder('etc/d'),
    file('etc/d/c'),
    { name: 'rootfs/link', type: '2', linkName: 'etc' },
  ];

  test('keeps the listed paths and the folders on the way, with their modes', async () => {
    const { store } = scratch();
    const image = await images(store, ['a', { pathWhitelist: ['/etc/a', '/etc/d/c'] }, ...tree]);
    expect(await seen(store, image)).toEqual({
      etc: '/',
      'etc/a': 'etc/a',
      'etc/d': '/',
      'etc/d/c': 'etc/d/c',
    });
    const [id = ''] = await layersOf(store, image);
    expect(statSync(join(store.treeRoot(id), 'etc')).mode & 0o777).toBe(0o711);
  });

  test('keeps of a listed folder no content, with or without a slash behind it', async () => {
    const { store } = scratch();
    const image = await images(store, ['a', { pathWhitelist: ['/etc', '/etc/d/'] }, ...tree]);
    expect(await seen(store, image)).toEqual({ etc: '/', 'etc/d': '/' });
  });

  test('keeps nothing through a link, nothing outside, and nothing that is not there', async () => {
    const { store } = scratch();
    const pathWhitelist = ['/link/a', '/../etc/b', '/none', '/etc/a/below'];
    const image = await images(store, ['a', { pathWhitelist }, ...tree]);
    expect(await seen(store, image)).toEqual({ etc: '/', 'etc/b': 'etc/b' });
  });

  test('is about the final tree: of dependencies too', async () => {
    const { store } = scratch();
    const image = await images(
      store,
      ['base', {}, file('a', 'base'), file('b', 'base')],
      ['top', { ...dependsOn('base'), pathWhitelist: ['/a', '/c'] }, file('a', 'top'), file('c')],
    );
    expect(await seen(store, image)).toEqual({ a: 'top', c: 'c' });
  });

  test('of a dependency holds for what is below it alone', async () => {
    const { store } = scratch();
    const image = await images(
      store,
      ['base', {}, file('a'), file('b')],
      ['middle', { ...dependsOn('base'), pathWhitelist: ['/a'] }, file('c')],
      ['top', dependsOn('middle'), file('d')],
    );
    expect(await seen(store, image)).toEqual({ a: 'a', d: 'd' });
  });

  test('keeps hard links, owners, times and holes', async () => {
    const { store } = scratch();
    const image = await images(store, [
      'a',
      { pathWhitelist: ['/one', '/two'] },
      file('one', 'same'),
      { name: 'rootfs/two', type: '1', linkName: 'rootfs/one' },
      file('three'),
    ]);
    const [id = ''] = await layersOf(store, image);
    const [one, two] = ['one', 'two'].map((name) => statSync(join(store.treeRoot(id), name)));
    expect(one).toMatchObject({ ino: two?.ino, nlink: 2, mtimeMs: 1_600_000_000_000 });
  });

  test('is rendered once, whole, and leaves nothing behind', async () => {
    const { store } = scratch();
    const image = await images(store, ['a', { pathWhitelist: ['/etc/a'] }, ...tree]);
    const results = await Promise.all([1, 2, 3].map(() => layersOf(store, image)));
    expect(new Set(results.flat()).size).toBe(1);
    const [id = ''] = results[0] ?? [];
    const { ino } = statSync(store.treeRoot(id));
    await layersOf(store, image);
    expect(statSync(store.treeRoot(id)).ino).toBe(ino);
    expect(existsSync(store.blobPath(id))).toBe(false);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(store.cas);
  });
});
