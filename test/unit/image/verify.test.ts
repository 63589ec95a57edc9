import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { layersOf } from '../../../src/image/closure.ts';
import { importLayer } from '../../../src/image/layer.ts';
import { addImage } from '../../../src/image/publish.ts';
import type { Store, StoredImage } from '../../../src/image/store.ts';
import { verifyImage } from '../../../src/image/verify.ts';
import { aciOf, dependsOn, file, folder, store as keep } from './images.ts';
import { scratch } from './scratch.ts';
import { archive, type Member, pax } from './tar-maker.ts';

const members: (Member | Buffer)[] = [
  folder('etc', 0o711),
  file('etc/a', 'one'),
  file('etc/b', 'two'),
  { name: 'rootfs/link', type: '2', linkName: 'etc' },
  { name: 'rootfs/hard', type: '1', linkName: 'rootfs/etc/a' },
  pax({ 'SCHILY.xattr.user.colour': 'red' }),
  file('xattr'),
  file('implied/deep/file'),
  { name: 'rootfs/fifo', type: '6' },
];
const free = () => undefined;
const verify = (store: Store, image: StoredImage) => verifyImage(store, image, free);

/** A change of names changes the time of their folder; here it shall show by itself. */
function keepingTime(root: string, change: () => void): void {
  const { atime, mtime } = statSync(root);
  change();
  utimesSync(root, atime, mtime);
}

const damages: Record<string, [(root: string) => void, string]> = {
  'changed content': [(root) => writeFileSync(join(root, 'etc/a'), 'ONE'), './etc/a'],
  'an appended byte': [(root) => appendFileSync(join(root, 'etc/b'), '!'), './etc/b'],
  'another mode': [(root) => chmodSync(join(root, 'etc'), 0o755), './etc/'],
  'another owner': [(root) => chownSync(join(root, 'etc/b'), 7, 7), './etc/b'],
  'another time': [(root) => utimesSync(join(root, 'etc/b'), 1, 1), './etc/b'],
  'a missing file': [(root) => rmSync(join(root, 'etc/b')), './etc/'],
  'a file too many': [(root) => writeFileSync(join(root, 'zzz'), ''), './'],
  'another target of a link': [
    (root) =>
      keepingTime(root, () => {
        rmSync(join(root, 'link'));
        symlinkSync('elsewhere', join(root, 'link'));
      }),
    './link',
  ],
  'a broken hard link': [
    (root) =>
      keepingTime(root, () => {
        const text = readFileSync(join(root, 'hard'));
        rmSync(join(root, 'hard'));
        writeFileSync(join(root, 'hard'), text);
        utimesSync(join(root, 'hard'), 1_600_000_000, 1_600_000_000);
      }),
    './hard',
  ],
  'a hard link too many': [(root) => linkSync(join(root, 'etc/b'), join(root, 'etc/c')), './etc/'],
  'another type': [
    (root) =>
      keepingTime(root, () => {
        rmSync(join(root, 'fifo'));
        writeFileSync(join(root, 'fifo'), '');
      }),
    './fifo',
  ],
  'a changed attribute': [
    (root) =>
      execFileSync('python3', [
        '-c',
        `import os; os.setxattr(${JSON.stringify(join(root, 'xattr'))}, 'user.colour', b'blue')`,
      ]),
    './xattr',
  ],
};

describe('a tree with', () => {
  test.each(Object.entries(damages))('%s is found and made whole', async (_, [damage, path]) => {
    const { store } = scratch();
    const image = await keep(store, aciOf('a', {}, members));
    expect(await verify(store, image)).toEqual([]);
    damage(store.treeRoot(image.key));
    expect(await verify(store, image)).toEqual([
      `tree ${image.key} differed at ${JSON.stringify(path)}`,
    ]);
    expect(await verify(store, image)).toEqual([]);
    expect(readFileSync(store.path('tree', image.key, 'size'), 'utf8')).toMatch(/^\d+$/);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });
});

test('the order in which extended attributes were set makes no difference', async () => {
  const { store } = scratch();
  const both = { 'SCHILY.xattr.user.one': '1', 'SCHILY.xattr.user.two': '2' };
  const image = await keep(store, aciOf('a', {}, [pax(both), file('xattr')]));
  const path = join(store.treeRoot(image.key), 'xattr');
  const set = (...how: string[]) => execFileSync('setfattr', [...how, path]);
  for (const name of Object.keys(both)) set('--remove', name.replace('SCHILY.xattr.', ''));
  set('--name=user.two', '--value=2');
  set('--name=user.one', '--value=1');
  expect(await verify(store, image)).toEqual([]);
});

test('a tree that is gone comes back', async () => {
  const { store } = scratch();
  const image = await keep(store, aciOf('a', {}, members));
  rmSync(store.path('tree', image.key), { recursive: true });
  await expect(layersOf(store, image)).rejects.toThrow('rkt image verify brings it back');
  expect(await verify(store, image)).toEqual([`tree ${image.key} was missing`]);
  expect(await layersOf(store, image)).toEqual([image.key]);
});

test('a manifest that was changed is written again', async () => {
  const { store } = scratch();
  const image = await keep(store, aciOf('a', {}, members));
  const path = store.path('image', image.key, 'manifest');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace('example.com/a', 'example.com/b'));
  expect(await verify(store, image)).toEqual(['its manifest differed']);
  expect(readFileSync(path, 'utf8')).toBe(text);
});

test.each([
  ['changed', (path: string) => appendFileSync(path, 'x')],
  ['cut short', (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 2000))],
  ['gone', (path: string) => rmSync(path)],
])('stored bytes that are %s are beyond repair, and the tree stays', async (_, damage) => {
  const { store } = scratch();
  const image = await keep(store, aciOf('a', {}, members));
  damage(store.blobPath(image.key));
  const before = statSync(store.treeRoot(image.key)).ino;
  await expect(verify(store, image)).rejects.toThrow(
    /^verify image sha512-\w+: its stored bytes .* are damaged .*: remove the image/,
  );
  expect(statSync(store.treeRoot(image.key)).ino).toBe(before);
});

test('a damaged tree that is mounted stays, and the mounter is named', async () => {
  const { store } = scratch();
  const image = await keep(store, aciOf('a', {}, members));
  chmodSync(join(store.treeRoot(image.key), 'etc'), 0o700);
  await expect(verifyImage(store, image, () => 'by pod 1')).rejects.toThrow(/in use by pod 1/);
  expect(statSync(join(store.treeRoot(image.key), 'etc')).mode & 0o777).toBe(0o700);
});

test('what an image depends on, and what was rendered of it, is verified with it', async () => {
  const { store } = scratch();
  const base = await keep(store, aciOf('base', {}, members));
  const image = await keep(
    store,
    aciOf('top', { ...dependsOn('base'), pathWhitelist: ['/etc/a'] }, []),
  );
  const [rendered = ''] = await layersOf(store, image);
  expect(await verify(store, image)).toEqual([]);
  writeFileSync(join(store.treeRoot(rendered), 'etc/a'), 'changed');
  rmSync(join(store.treeRoot(base.key), 'etc/b'));
  expect(await verify(store, image)).toEqual([
    `tree ${base.key} differed at "./etc/"`,
    `tree ${rendered} differed at "./etc/a"`,
  ]);
  expect(await verify(store, image)).toEqual([]);
});

describe('the layers of an OCI image', () => {
  const layer = archive([
    { name: 'a/b/c', content: 'c' },
    { name: 'a/.wh..wh..opq' },
    { name: 'x/.wh.gone' },
    { name: 'opaque/.wh..wh..opq' },
  ]);
  async function ociImage(store: Store): Promise<StoredImage> {
    const open = () => Readable.from([layer]);
    const layers = [await importLayer(store, { name: 'layer', open })];
    const { manifest } = await keep(store, aciOf('a'));
    const config = Buffer.from('{}');
    const key = `sha512-${execFileSync('sha512sum', { input: config, encoding: 'utf8' }).slice(0, 64)}`;
    return addImage(store, { key, manifest, layers, config });
  }

  test('are the same at each unpacking, whiteouts included', async () => {
    const { store } = scratch();
    const image = await ociImage(store);
    expect(await verify(store, image)).toEqual([]);
    rmSync(join(store.treeRoot(image.layers[0] ?? ''), 'x/gone'));
    expect(await verify(store, image)).toEqual([`tree ${image.layers[0]} differed at "./x/"`]);
  });

  test('have a config that must hash to the key', async () => {
    const { store } = scratch();
    const image = await ociImage(store);
    appendFileSync(store.blobPath(image.key), ' ');
    await expect(verify(store, image)).rejects.toThrow(/its config .* is damaged/);
  });
});

test('a tree without a folder above it is repaired as well', async () => {
  const { store } = scratch();
  const image = await keep(store, aciOf('a', {}, members));
  renameSync(store.path('tree', image.key, 'rootfs'), store.path('tree', image.key, 'other'));
  expect(await verify(store, image)).toHaveLength(1);
  expect(existsSync(store.treeRoot(image.key))).toBe(true);
  expect(existsSync(store.path('tree', image.key, 'other'))).toBe(false);
});
