import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { layersOf } from '../../../src/image/closure.ts';
import type { Store, StoredImage } from '../../../src/image/store.ts';
import { runLine } from '../cli/helpers.ts';
import { aciOf, dependsOn, file, folder, store as keep } from './images.ts';
import { scratch } from './scratch.ts';

function house() {
  const { store, folder } = scratch();
  store.create();
  return {
    store,
    folder,
    path: (name: string) => join(folder, name),
    rkt: (...argv: string[]) => runLine(`--dir=${store.dataDir}`, ...argv),
  };
}

const plain = aciOf('a', {}, [folder('etc', 0o711), file('etc/file', 'text')]);

describe('image export', () => {
  test('writes the uncompressed ACI, whose hash is the key', async () => {
    const { store, path, rkt } = house();
    const { key } = await keep(store, gzipSync(plain));
    expect(await rkt('image', 'export', 'example.com/a', path('out.aci'))).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    });
    const written = readFileSync(path('out.aci'));
    expect(written.equals(plain)).toBe(true);
    expect(key).toContain(createHash('sha512').update(written).digest('hex').slice(0, 64));
  });

  test('keeps a file that is there, unless it is told to', async () => {
    const { store, path, rkt } = house();
    await keep(store, plain);
    writeFileSync(path('out.aci'), 'precious');
    const refused = await rkt('image', 'export', 'example.com/a', path('out.aci'));
    expect(refused).toMatchObject({ code: 254 });
    expect(refused.stderr).toContain('it exists; use --overwrite');
    expect(readFileSync(path('out.aci'), 'utf8')).toBe('precious');
    await rkt('image', 'export', '--overwrite', 'example.com/a', path('out.aci'));
    expect(readFileSync(path('out.aci')).equals(plain)).toBe(true);
  });

  test('takes no other name than .aci, and no image that was no ACI', async () => {
    const { store, path, rkt } = house();
    const { key } = await keep(store, plain);
    const other = await rkt('image', 'export', key, path('out.tar'));
    expect(other.stderr).toContain('must end in .aci');
    const info = JSON.parse(readFileSync(store.path('image', key, 'info'), 'utf8'));
    writeFileSync(
      store.path('image', key, 'info'),
      JSON.stringify({ ...info, layers: ['sha256-1'] }),
    );
    const oci = await rkt('image', 'export', key, path('out.aci'));
    expect(oci.stderr).toContain('rkt image convert');
    expect(existsSync(path('out.aci'))).toBe(false);
  });

  test('writes nothing of damaged bytes', async () => {
    const { store, path, rkt, folder } = house();
    const { key } = await keep(store, plain);
    writeFileSync(store.blobPath(key), Buffer.concat([plain, plain]));
    const { code, stderr } = await rkt('image', 'export', key, path('out.aci'));
    expect(code).toBe(254);
    expect(stderr).toContain('are damaged');
    expect(readdirSync(folder)).toEqual(['data']);
  });
});

describe.each(['extract', 'render'])('image %s', (verb) => {
  test('makes a folder with manifest and rootfs, or with the files alone', async () => {
    const { store, path, rkt } = house();
    const { key } = await keep(store, plain);
    expect((await rkt('image', verb, key, path('whole'))).code).toBe(0);
    expect(readdirSync(path('whole')).sort()).toEqual(['manifest', 'rootfs']);
    expect(JSON.parse(readFileSync(path('whole/manifest'), 'utf8')).name).toBe('example.com/a');
    expect((await rkt('image', verb, '--rootfs-only', key, path('files'))).code).toBe(0);
    expect(readFileSync(path('files/etc/file'), 'utf8')).toBe('text');
    expect(statSync(path('files/etc')).mode & 0o777).toBe(0o711);
    expect(statSync(path('files/etc/file')).mtimeMs).toBe(1_600_000_000_000);
  });

  test('keeps a folder that is there, unless it is told to', async () => {
    const { store, path, rkt, folder } = house();
    const { key } = await keep(store, plain);
    mkdirSync(path('out'));
    writeFileSync(path('out/precious'), '');
    expect((await rkt('image', verb, key, path('out'))).code).toBe(254);
    expect(readdirSync(path('out'))).toEqual(['precious']);
    expect((await rkt('image', verb, '--overwrite', key, path('out'))).code).toBe(0);
    expect(readdirSync(path('out')).sort()).toEqual(['manifest', 'rootfs']);
    expect(readdirSync(folder).sort()).toEqual(['data', 'out']);
  });

  test('refuses the root folder, also behind a link, and what holds the store', async () => {
    const { store, path, rkt, folder } = house();
    const { key } = await keep(store, plain);
    symlinkSync('/', path('link'));
    for (const target of ['/', '/tmp/..', path('link')])
      expect((await rkt('image', verb, '--overwrite', key, target)).stderr).toContain(
        'root folder',
      );
    for (const target of [folder, store.dataDir, store.cas])
      expect((await rkt('image', verb, '--overwrite', key, target)).stderr).toContain('data');
    expect(store.get(key)).toBeDefined();
  });
});

test('image extract leaves out what an image depends on, image render does not', async () => {
  const { store, path, rkt } = house();
  await keep(store, aciOf('base', {}, [file('base')]));
  const { key } = await keep(store, aciOf('top', dependsOn('base'), [file('top')]));
  await rkt('image', 'extract', '--rootfs-only', key, path('extracted'));
  expect(readdirSync(path('extracted'))).toEqual(['top']);
  await rkt('image', 'render', '--rootfs-only', key, path('rendered'));
  expect(readdirSync(path('rendered')).sort()).toEqual(['base', 'top']);
});

describe('image verify', () => {
  test('says what is sound and what was repaired, and fails for what is beyond it', async () => {
    const { store, rkt } = house();
    const a = await keep(store, plain);
    const b = await keep(store, aciOf('b', {}, [file('x')]));
    const c = await keep(store, aciOf('c'));
    writeFileSync(join(store.treeRoot(b.key), 'x'), 'changed');
    writeFileSync(store.blobPath(c.key), 'changed');
    const { code, stdout, stderr } = await rkt(
      'image',
      'verify',
      'example.com/c',
      'example.com/b',
      'example.com/a',
    );
    expect(code).toBe(254);
    expect(stdout.split('\n')).toEqual([
      `repaired image: "example.com/b" ("${b.key}"): tree ${b.key} differed at "./x"`,
      `successfully verified image: "example.com/a" ("${a.key}")`,
      '',
    ]);
    expect(stderr).toContain(`verify image ${c.key}`);
    expect((await rkt('image', 'verify', a.key, b.key)).code).toBe(0);
    expect((await rkt('image', 'verify', 'example.com/none')).code).toBe(254);
  });
});

describe('image gc', () => {
  const age = (store: Store, { key }: StoredImage) =>
    utimesSync(store.path('image', key, 'info'), 1, 1);
  const names = (store: Store) => store.list().map(({ name }) => name.replace('example.com/', ''));
  /** A pod's folder, as far as it says what the pod needs. */
  const pod = (store: Store, group: string, image: string, ...trees: string[]) => {
    const path = join(store.dataDir, 'pods', group, '1b6a8bb2-0000-4000-8000-000000000000');
    mkdirSync(join(path, 'appsinfo/app'), { recursive: true });
    writeFileSync(join(path, 'appsinfo/app/treeStoreID'), `${trees.join('\n')}\n`);
    writeFileSync(join(path, 'pod'), JSON.stringify({ apps: [{ image: { id: image } }] }));
  };

  test('removes what was not used for the grace period, and keeps what was', async () => {
    const { store, rkt } = house();
    const old = await keep(store, aciOf('old'));
    await keep(store, aciOf('fresh'));
    age(store, old);
    const { code, stdout } = await rkt('image', 'gc');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `successfully removed aci for image: "${old.key}"\n`,
    });
    expect(names(store)).toEqual(['fresh']);
    expect(store.hasTree(old.key)).toBe(false);
    await rkt('image', 'gc', '--grace-period=0s');
    expect(names(store)).toEqual([]);
  });

  test('keeps what an image that stays depends on', async () => {
    const { store, rkt } = house();
    const base = await keep(store, aciOf('base'));
    const other = await keep(store, aciOf('other'));
    await keep(store, aciOf('top', dependsOn('base')));
    for (const image of [base, other]) age(store, image);
    await rkt('image', 'gc');
    expect(names(store).sort()).toEqual(['base', 'top']);
  });

  test.each(['embryo', 'prepare', 'prepared', 'run', 'exited-garbage'])(
    'keeps the image and the trees of a pod in %s',
    async (group) => {
      const { store, rkt } = house();
      const image = await keep(store, aciOf('a', { pathWhitelist: ['/x'] }, [file('x')]));
      const [tree = ''] = await layersOf(store, image);
      pod(store, group, image.key, tree);
      await rkt('image', 'gc', '--grace-period=0s');
      expect(names(store)).toEqual(['a']);
      expect(store.hasTree(tree)).toBe(true);
    },
  );

  test('keeps nothing for a pod that is garbage', async () => {
    const { store, rkt } = house();
    const image = await keep(store, aciOf('a'));
    pod(store, 'garbage', image.key, image.key);
    await rkt('image', 'gc', '--grace-period=0s');
    expect(names(store)).toEqual([]);
  });

  test('keeps the tree of a pod whose image was removed, until the pod is gone', async () => {
    const { store, rkt } = house();
    const image = await keep(store, aciOf('a'));
    pod(store, 'run', 'sha512-other', image.key);
    await rkt('image', 'rm', image.key);
    await rkt('image', 'gc', '--grace-period=0s');
    expect(readdirSync(store.path('tree'))).toEqual([image.key]);
    writeFileSync(
      join(store.dataDir, 'pods/run/1b6a8bb2-0000-4000-8000-000000000000/appsinfo/app/treeStoreID'),
      '',
    );
    await rkt('image', 'gc', '--grace-period=0s');
    expect(readdirSync(store.path('tree'))).toEqual([]);
    expect(readdirSync(store.path('blob'))).toEqual([]);
  });

  test('removes a rendering that is out of date, and keeps the present one', async () => {
    const { store, rkt } = house();
    await keep(store, aciOf('base', {}, [file('one')]));
    const image = await keep(
      store,
      aciOf('top', { ...dependsOn('base'), pathWhitelist: ['/one'] }),
    );
    const [before = ''] = await layersOf(store, image);
    await keep(store, aciOf('base', {}, [file('one', 'newer')]));
    const [after = ''] = await layersOf(store, image);
    for (const id of [before, after]) expect(store.hasTree(id)).toBe(true);
    // A pod needs the images, so that only trees are at stake.
    pod(store, 'run', image.key);
    await rkt('image', 'gc', '--grace-period=0s');
    expect([store.hasTree(before), store.hasTree(after)]).toEqual([false, true]);
  });

  test('clears leftovers, blobs without a tree among them', async () => {
    const { store, rkt } = house();
    await keep(store, aciOf('a'));
    mkdirSync(store.path('tmp', 'work-of-the-dead'));
    mkdirSync(store.path('tmp', 'download-of-old'));
    writeFileSync(store.blobPath('sha256-alone'), '');
    mkdirSync(store.treeRoot('sha256-nobodys'), { recursive: true });
    await rkt('image', 'gc');
    expect(readdirSync(store.path('tmp'))).toEqual(['download-of-old']);
    utimesSync(store.path('tmp', 'download-of-old'), 1, 1);
    await rkt('image', 'gc', '--grace-period=0s');
    expect(readdirSync(store.path('tmp'))).toEqual([]);
    expect(readdirSync(store.path('tree'))).toEqual([]);
    expect(readdirSync(store.path('blob'))).toEqual([]);
  });

  test('refuses a negative or unitless grace period', async () => {
    const { rkt } = house();
    for (const text of ['-1s', '5'])
      expect((await rkt('image', 'gc', `--grace-period=${text}`)).code).toBe(254);
  });
});
