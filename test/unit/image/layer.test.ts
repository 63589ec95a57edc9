import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { importLayer } from '../../../src/image/layer.ts';
import type { Store } from '../../../src/image/store.ts';
import { scratch } from './scratch.ts';
import { archive, type Member, pax } from './tar-maker.ts';

const sha256 = (data: Buffer): string =>
  `sha256:${createHash('sha256').update(data).digest('hex')}`;
const folder = (name: string): Member => ({ name, type: '5' });
const file = (name: string, content = 'x'): Member => ({ name, content });
const link = (name: string, linkName: string): Member => ({ name, linkName, type: '2' });

async function unpacked(store: Store, members: Member[]): Promise<string> {
  const bytes = archive(members);
  return store.treeRoot(
    await importLayer(store, { name: 'a layer', open: () => Readable.from([bytes]) }),
  );
}

const isWhiteout = (path: string): boolean => {
  const stats = lstatSync(path);
  return stats.isCharacterDevice() && stats.rdev === 0;
};
const isOpaque = (path: string): boolean =>
  execFileSync('getfattr', ['--absolute-names', '-m', 'trusted.overlay', path], {
    encoding: 'utf8',
  }).includes('trusted.overlay.opaque');

describe('digests', () => {
  const plain = archive([file('a')]);
  const packed = gzipSync(plain);
  const layer = {
    name: 'layer 1 of x',
    open: () => Readable.from([packed]),
    diffId: sha256(plain),
    digest: sha256(packed),
    size: packed.length,
  };

  test('a layer is stored under its diff id, its bytes as they came beside it', async () => {
    const { store } = scratch();
    const id = await importLayer(store, layer);
    expect(id).toBe(sha256(plain).replace(':', '-'));
    expect(readFileSync(join(store.treeRoot(id), 'a'), 'utf8')).toBe('x');
    expect(readFileSync(store.blobPath(id))).toEqual(packed);
  });

  test('a layer that is there is not read', async () => {
    const { store } = scratch();
    const id = await importLayer(store, layer);
    const open = (): Readable => {
      throw new Error('was read');
    };
    expect(await importLayer(store, { ...layer, open })).toBe(id);
  });

  test.each([
    [{ diffId: sha256(packed) }, /its diff id is sha256:/],
    [{ digest: sha256(plain) }, /its digest is sha256:/],
    [{ size: packed.length + 1 }, /it has \d+ bytes, not/],
  ])('%o does not hold: refused, nothing stored', async (wrong, message) => {
    const { store } = scratch();
    await expect(importLayer(store, { ...layer, ...wrong })).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringMatching(message),
    });
    for (const part of ['tree', 'blob', 'tmp'] as const)
      expect(readdirSync(store.path(part))).toEqual([]);
  });

  test('a failing source is the reason that is told', async () => {
    const { store } = scratch();
    const open = () =>
      Readable.from(
        (async function* () {
          yield packed.subarray(0, 20);
          throw new Error('the line is dead');
        })(),
      );
    await expect(importLayer(store, { ...layer, open })).rejects.toThrow(
      /^import layer 1 of x: the line is dead$/,
    );
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });
});

describe('layers as tools make them', () => {
  test('an empty layer, absolute names and folders that come twice are accepted', async () => {
    const { store } = scratch();
    expect(readdirSync(await unpacked(store, []))).toEqual([]);
    const root = await unpacked(store, [
      folder('/d'),
      file('/d/a'),
      folder('d/'),
      file('d/b'),
      file('d/b', 'again'),
    ]);
    expect(readdirSync(join(root, 'd'))).toEqual(['a', 'b']);
    expect(readFileSync(join(root, 'd/b'), 'utf8')).toBe('again');
  });

  test('the entry for the root gives the root its mode', async () => {
    const { store } = scratch();
    const root = await unpacked(store, [{ name: './', type: '5', mode: 0o711 }]);
    expect(statSync(root).mode & 0o7777).toBe(0o711);
  });
});

describe('whiteouts', () => {
  test('a whiteout becomes a device 0:0, also with a long name', async () => {
    const { store } = scratch();
    const root = await unpacked(store, [
      folder('d'),
      file('d/.wh.a', ''),
      file('.wh.top', ''),
      file(`.wh.${'n'.repeat(90)}`, ''),
    ]);
    expect(isWhiteout(join(root, 'd/a'))).toBe(true);
    expect(isWhiteout(join(root, 'top'))).toBe(true);
    expect(isWhiteout(join(root, 'n'.repeat(90)))).toBe(true);
    expect(readdirSync(join(root, 'd'))).toEqual(['a']);
  });

  test.each([true, false])(
    'a whiteout below a folder that has become a file says nothing new (whiteout first: %s)',
    async (first) => {
      const { store } = scratch();
      const members = [file('turned', 'now a file'), file('turned/.wh.into')];
      const root = await unpacked(store, first ? members.reverse() : members);
      expect(readFileSync(join(root, 'turned'), 'utf8')).toBe('now a file');
    },
  );

  test('a whiteout of a long path', async () => {
    const { store } = scratch();
    const deep = Array<string>(5).fill('twenty-letters-long-').join('/');
    const root = await unpacked(store, [{ name: '.wh.x', prefix: deep }]);
    expect(isWhiteout(join(root, deep, 'x'))).toBe(true);
  });

  test('an opaque whiteout marks its folder, before or after what is in it', async () => {
    const { store } = scratch();
    const root = await unpacked(store, [
      folder('a'),
      file('a/.wh..wh..opq'),
      file('a/x'),
      folder('b'),
      file('b/x'),
      file('b/.wh..wh..opq'),
      file('c/d/.wh..wh..opq'),
    ]);
    for (const name of ['a', 'b', 'c/d']) expect(isOpaque(join(root, name))).toBe(true);
    expect(isOpaque(join(root, 'c'))).toBe(false);
    expect(readdirSync(join(root, 'a'))).toEqual(['x']);
  });

  test.each([true, false])(
    'what the layer itself has at the path stays (whiteout first: %s)',
    async (first) => {
      const { store } = scratch();
      const whiteouts = [file('.wh.f'), file('.wh.d'), file('.wh.i')];
      const own = [file('f'), folder('d'), file('d/x'), file('i/x')];
      const root = await unpacked(store, first ? [...whiteouts, ...own] : [...own, ...whiteouts]);
      expect(readFileSync(join(root, 'f'), 'utf8')).toBe('x');
      expect(readdirSync(join(root, 'd'))).toEqual(['x']);
      expect([isOpaque(join(root, 'd')), isOpaque(join(root, 'i')), isOpaque(root)]).toEqual([
        true,
        true,
        false,
      ]);
    },
  );

  test('overlayfs hides what they say', async () => {
    const { store, folder: scratchPath } = scratch();
    const lower = await unpacked(store, [
      folder('d'),
      file('d/gone'),
      file('d/kept'),
      folder('o'),
      file('o/old'),
    ]);
    const upper = await unpacked(store, [
      folder('d'),
      file('d/.wh.gone'),
      folder('o'),
      file('o/.wh..wh..opq'),
      file('o/new'),
    ]);
    const merged = join(scratchPath, 'merged');
    mkdirSync(merged);
    execFileSync('mount', ['-t', 'overlay', '-o', `ro,lowerdir=${upper}:${lower}`, 'none', merged]);
    try {
      expect(readdirSync(join(merged, 'd'))).toEqual(['kept']);
      expect(readdirSync(join(merged, 'o'))).toEqual(['new']);
    } finally {
      execFileSync('umount', [merged]);
    }
  });

  const outside: Record<string, Member[]> = {
    'below a symlink that the layer made': [link('s', '/etc'), file('s/.wh.passwd')],
    'below a symlink that comes later': [file('s/.wh.passwd'), link('s', '/etc')],
    'opaque through a symlink': [link('s', '/etc'), file('s/.wh..wh..opq')],
    'opaque through a symlink that comes later': [file('s/.wh..wh..opq'), link('s', '/etc')],
    'of ..': [file('d/.wh...')],
    'of .': [file('d/.wh..')],
    'of nothing': [file('d/.wh.')],
    'with a way through ..': [file('../.wh.x')],
  };
  test.each(Object.entries(outside))('%s: refused', async (_name, members) => {
    const { store } = scratch();
    await expect(unpacked(store, members)).rejects.toMatchObject({ code: 'bad-image' });
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });
});

test('importing touches nothing outside the store', async () => {
  const { store, folder: scratchPath } = scratch();
  const victim = join(scratchPath, 'victim');
  writeFileSync(victim, 'untouched');
  await expect(unpacked(store, [link('s', scratchPath), file('s/victim')])).rejects.toThrow(
    /below the symlink/,
  );
  await expect(unpacked(store, [{ name: 'h', type: '1', linkName: victim }])).rejects.toThrow(
    /no earlier entry/,
  );
  expect(readFileSync(victim, 'utf8')).toBe('untouched');
  expect(existsSync(join(scratchPath, 'h'))).toBe(false);
});

test('ACLs that a layer gives as bare attributes are kept, those for new files too', async () => {
  const { store } = scratch();
  const entries = [1, 7, -1, 2, 4, 1234, 4, 5, -1, 16, 5, -1, 32, 0, -1];
  const acl = Buffer.alloc(4 + (entries.length / 3) * 8);
  acl.writeUInt32LE(2);
  for (let n = 0; n < entries.length; n += 3) {
    acl.writeUInt16LE(entries[n] ?? 0, 4 + (n / 3) * 8);
    acl.writeUInt16LE(entries[n + 1] ?? 0, 6 + (n / 3) * 8);
    acl.writeInt32LE(entries[n + 2] ?? 0, 8 + (n / 3) * 8);
  }
  const record = (kind: string) => {
    const name = `SCHILY.xattr.system.posix_acl_${kind}`;
    return pax({ [name]: acl.toString('latin1') });
  };
  const bytes = archive([
    record('default'),
    { ...folder('d'), mode: 0o750 },
    record('access'),
    { ...file('d/f'), mode: 0o750 },
    { ...file('d/plain'), mode: 0o640 },
  ]);
  const id = await importLayer(store, { name: 'a layer', open: () => Readable.from([bytes]) });
  const of = (name: string) =>
    execFileSync('getfacl', ['-nc', '--absolute-names', join(store.treeRoot(id), name)], {
      encoding: 'utf8',
    }).trim();
  const lines = ['user::rwx', 'user:1234:r--', 'group::r-x', 'mask::r-x', 'other::---'];
  expect(of('d/f')).toBe(lines.join('\n'));
  expect(of('d')).toBe(
    ['user::rwx', 'group::r-x', 'other::---', ...lines.map((line) => `default:${line}`)].join('\n'),
  );
  expect(of('d/plain')).toBe('user::rw-\ngroup::r--\nother::---');
});

test('a damaged ACL is refused', async () => {
  const { store } = scratch();
  const acl = pax({ 'SCHILY.xattr.system.posix_acl_access': '\x02\0\0\0\x01\0\x08\0\0\0\0\0' });
  const bytes = archive([acl, file('f')]);
  const open = () => Readable.from([bytes]);
  await expect(importLayer(store, { name: 'a layer', open })).rejects.toThrow(/damaged ACL/);
});
