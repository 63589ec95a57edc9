import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { layersOf } from '../../../src/image/closure.ts';
import { extractImage } from '../../../src/image/extract.ts';
import { withMerged } from '../../../src/image/merge.ts';
import { removeImage } from '../../../src/image/remove.ts';
import { resolveImage } from '../../../src/image/resolve.ts';
import type { Store, StoredImage } from '../../../src/image/store.ts';
import { verifyImage } from '../../../src/image/verify.ts';
import { look } from '../../integration/convert/trees.ts';
import { LayoutMaker, tagged } from './layout-maker.ts';
import { scratch, scratchFolder } from './scratch.ts';
import { archive, type Member, pax } from './tar-maker.ts';

const layout = new Map<Store, string>();

/** An image of layers with these members, bottom first. */
async function imageOf(
  store: Store,
  ...layers: readonly (readonly (Member | Buffer)[])[]
): Promise<StoredImage> {
  const maker = new LayoutMaker(scratchFolder());
  maker.index(
    maker.image(
      layers.map((members) => archive(members)),
      tagged('v1'),
    ),
  );
  layout.set(store, maker.folder);
  return resolveImage(store, `oci:${maker.folder}:v1`, {
    pullPolicy: 'never',
    insecure: { image: true },
    warn: () => {},
  });
}

/** What a pod of the image sees: every path, and what `action` says of it. */
async function seen<T>(store: Store, image: StoredImage, action: (root: string) => T): Promise<T> {
  const layers = await layersOf(store, image);
  return withMerged(
    layers.map((id) => store.treeRoot(id)),
    scratchFolder(),
    action,
  );
}

/** The lines of `look` for a folder that umoci makes of the image, and for the one of rkt. */
async function both(store: Store, image: StoredImage): Promise<[umoci: string[], rkt: string[]]> {
  const [bundle, target] = [join(scratchFolder(), 'bundle'), join(scratchFolder(), 'out')];
  execFileSync('umoci', ['unpack', '--image', `${layout.get(store)}:v1`, bundle], {
    stdio: 'pipe',
  });
  await extractImage(store, { image, target, rendered: true, rootfsOnly: true, overwrite: false });
  return [look(join(bundle, 'rootfs')), look(target)];
}

const owned = (uid: number, gid: number) => (header: Buffer) => {
  header.write(`${uid.toString(8).padStart(7, '0')}\0`, 108, 'latin1');
  header.write(`${gid.toString(8).padStart(7, '0')}\0`, 116, 'latin1');
};
const root: Member = { name: './', type: '5' };
const folder = (name: string, more: Partial<Member> = {}): Member => ({ name, type: '5', ...more });
const file = (name: string): Member => ({ name, content: name });
const whiteout = (name: string): Member => ({ name });

describe('a folder that only the entries below it tell of', () => {
  const below = [
    root,
    folder('srv', { mode: 0o2750, patch: owned(12, 34) }),
    pax({ 'SCHILY.xattr.user.note': 'kept' }),
    folder('srv/deep', { mode: 0o1777, patch: owned(56, 78) }),
    file('srv/deep/old'),
  ];

  test('has the mode, owner, time and attributes that a lower layer gives it', async () => {
    const { store } = scratch();
    const image = await imageOf(store, below, [file('srv/deep/new')]);
    await seen(store, image, (path) => {
      expect(readdirSync(join(path, 'srv/deep'))).toEqual(['new', 'old']);
      expect(lstatSync(join(path, 'srv'))).toMatchObject({ mode: 0o042750, uid: 12, gid: 34 });
      expect(lstatSync(join(path, 'srv/deep'))).toMatchObject({
        mode: 0o041777,
        uid: 56,
        gid: 78,
        mtime: new Date(1_600_000_000_000),
      });
      const attributes = ['-n', 'user.note', '--only-values', join(path, 'srv/deep')];
      expect(execFileSync('getfattr', ['--absolute-names', ...attributes]).toString()).toBe('kept');
    });
  });

  test('is what umoci makes of it', async () => {
    const { store } = scratch();
    const [umoci, rkt] = await both(
      store,
      await imageOf(store, below, [file('srv/deep/new')], [whiteout('srv/.wh.none')]),
    );
    expect(rkt).toEqual(umoci);
  });

  test('has what the topmost layer says that says something', async () => {
    const { store } = scratch();
    const image = await imageOf(
      store,
      below,
      [folder('srv', { mode: 0o700 }), file('srv/a')],
      [file('srv/b')],
    );
    const mode = await seen(store, image, (path) => lstatSync(join(path, 'srv')).mode);
    expect(mode & 0o7777).toBe(0o700);
  });

  test('is what a lower layer says of it where an opaque whiteout empties it', async () => {
    const { store } = scratch();
    const image = await imageOf(store, below, [
      root,
      whiteout('srv/deep/.wh..wh..opq'),
      file('srv/deep/new'),
    ]);
    const [umoci, rkt] = await both(store, image);
    expect(rkt).toEqual(umoci);
    expect(rkt.filter((line) => line.startsWith('/srv/deep/'))).toHaveLength(1);
  });

  test('is new where the lower one was removed or no folder', async () => {
    const { store } = scratch();
    const image = await imageOf(
      store,
      [root, ...['a', 'c'].map((name) => folder(name, { mode: 0o700 }))],
      [root, whiteout('.wh.a'), file('c')],
      [root, file('a/new'), file('c/new')],
    );
    await seen(store, image, (path) => {
      for (const name of ['a', 'c'])
        expect([name, lstatSync(join(path, name)).mode & 0o7777]).toEqual([name, 0o755]);
    });
  });

  test('is that of its own image where several share the layer', async () => {
    const { store } = scratch();
    const top = [root, file('srv/new')];
    const modes: number[] = [];
    for (const mode of [0o700, 0o711]) {
      const image = await imageOf(store, [root, folder('srv', { mode })], top);
      modes.push(await seen(store, image, (path) => lstatSync(join(path, 'srv')).mode & 0o7777));
    }
    expect(modes).toEqual([0o700, 0o711]);
    expect(readdirSync(store.path('tree')).filter((id) => id.startsWith('sha256-'))).toHaveLength(
      3,
    );
  });

  test('needs no tree of its own where each layer has all entries', async () => {
    const { store } = scratch();
    const image = await imageOf(store, below, [
      ...[root, folder('srv'), folder('srv/deep')],
      file('srv/deep/new'),
    ]);
    expect(image.layers).toHaveLength(2);
  });

  test('is found damaged, and repaired; goes with its image', async () => {
    const { store } = scratch();
    const image = await imageOf(store, below, [file('srv/deep/new')]);
    const made = store.treeRoot(image.layers.at(-1) ?? '');
    chmodSync(join(made, 'srv'), 0o777);
    expect(await verifyImage(store, image, () => undefined)).toEqual([
      expect.stringMatching(/^tree folders-sha256-[0-9a-f]{64} differed at ".*srv\/?"$/),
    ]);
    expect(await verifyImage(store, image, () => undefined)).toEqual([]);
    removeImage(store, image.key, () => false);
    expect(readdirSync(store.path('tree'))).toEqual([]);
  });
});

describe('whiteouts', () => {
  const hidden = [whiteout('only/.wh.none'), file('only/here'), whiteout('.wh.none')];

  test('do not show in a folder that one layer alone has', async () => {
    const { store } = scratch();
    const image = await imageOf(store, [root, file('other')], [root, folder('only'), ...hidden]);
    await seen(store, image, (path) => {
      expect(readdirSync(path)).toEqual(['only', 'other']);
      expect(readdirSync(join(path, 'only'))).toEqual(['here']);
    });
  });

  test('do not show in an opaque folder, nor does what it hides', async () => {
    const { store } = scratch();
    const image = await imageOf(
      store,
      [root, folder('only'), file('only/lost')],
      [root, folder('only'), whiteout('only/.wh..wh..opq'), ...hidden],
    );
    expect(await seen(store, image, (path) => readdirSync(join(path, 'only')))).toEqual(['here']);
  });

  test('do not show in an image of one layer, and are no devices in a copy', async () => {
    const { store } = scratch();
    const image = await imageOf(store, [root, folder('only'), ...hidden]);
    expect(await seen(store, image, (path) => readdirSync(path))).toEqual(['only']);
    const [umoci, rkt] = await both(store, image);
    expect(rkt).toEqual(umoci);
  });

  test('of the root hide all lower layers', async () => {
    const { store } = scratch();
    const image = await imageOf(
      store,
      [root, file('lost')],
      [root, whiteout('.wh..wh..opq'), file('kept')],
    );
    expect(await seen(store, image, (path) => readdirSync(path))).toEqual(['kept']);
  });
});

test('names in no encoding are kept', async () => {
  const { store } = scratch();
  const name = 'srv/\xff\xe9';
  const image = await imageOf(
    store,
    [root, folder('srv', { mode: 0o700 }), folder(name, { mode: 0o700 })],
    [root, file(`${name}/new`)],
  );
  const path = (base: string) =>
    Buffer.concat([Buffer.from(`${base}/`), Buffer.from(name, 'latin1')]);
  expect(await seen(store, image, (base) => lstatSync(path(base)).mode & 0o7777)).toBe(0o700);
});

test('a tree of folders that is gone is brought back', async () => {
  const { store } = scratch();
  const image = await imageOf(store, [root, folder('a', { mode: 0o700 })], [root, file('a/b')]);
  rmSync(store.path('tree', image.layers.at(-1) ?? 'none'), { recursive: true });
  await expect(layersOf(store, image)).rejects.toThrow(/rkt image verify brings it back/);
  expect(await verifyImage(store, image, () => undefined)).toHaveLength(1);
  mkdirSync(join(store.dataDir, 'mount'), { recursive: true });
  expect(await seen(store, image, (path) => lstatSync(join(path, 'a')).mode & 0o777)).toBe(0o700);
});
