import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostArch } from '../../../src/appc/index.ts';
import { runLine } from './helpers.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-image-'));
  mkdirSync(join(folder, 'layout/rootfs'), { recursive: true });
  writeFileSync(join(folder, 'layout/rootfs/file'), 'content');
  writeFileSync(
    join(folder, 'layout/manifest'),
    JSON.stringify({
      acKind: 'ImageManifest',
      acVersion: '0.8.11',
      name: 'example.org/app',
      labels: [
        { name: 'version', value: '1.0' },
        { name: 'os', value: 'linux' },
        { name: 'arch', value: hostArch() },
      ],
    }),
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const rkt = (...argv: string[]) => runLine(`--dir=${folder}/data`, ...argv);
const aci = () => join(folder, 'app.aci');
const build = () => rkt('image', 'build', join(folder, 'layout'), aci());
const store = async () => {
  await build();
  return rkt('--insecure-options=image', 'image', 'import', '--full', aci());
};

it('build and import agree on the key', async () => {
  const built = await build();
  expect(built).toMatchObject({ code: 0, stderr: '' });
  const imported = await rkt('--insecure-options=image', 'image', 'import', '--full', aci());
  expect(imported).toMatchObject({ code: 0, stdout: built.stdout });
});

it('build keeps a file that is there', async () => {
  await build();
  expect(await build()).toMatchObject({ code: 254, stdout: '' });
  expect((await rkt('image', 'build', '--overwrite', join(folder, 'layout'), aci())).code).toBe(0);
});

it('import refuses an unverified image, and one that is not local', async () => {
  await build();
  expect(await rkt('image', 'import', aci())).toMatchObject({ code: 254, stdout: '' });
  expect((await rkt('image', 'import', 'docker://busybox')).stderr).toContain('not a local file');
});

describe('image list', () => {
  it('prints a line for each image', async () => {
    const key = (await store()).stdout.trim();
    const { stdout } = await rkt('image', 'list', '--no-legend', '--fields=id,name');
    expect(stdout.trimEnd().split(/\t+/)).toEqual([key.slice(0, 19), 'example.org/app:1.0']);
  });
  it('prints JSON with times in nanoseconds', async () => {
    const key = (await store()).stdout.trim();
    const [image] = JSON.parse((await rkt('image', 'list', '--format=json')).stdout);
    expect(image).toMatchObject({ id: key, name: 'example.org/app:1.0' });
    expect(Math.abs(image.import_time / 1e6 - Date.now())).toBeLessThan(600_000);
  });
  it('prints the headings alone, or null, without images', async () => {
    expect((await rkt('image', 'list')).stdout).toBe('ID\tNAME\tSIZE\tIMPORT TIME\tLAST USED\n');
    expect((await rkt('image', 'list', '--no-legend')).stdout).toBe('');
    expect((await rkt('image', 'list', '--format=json')).stdout).toBe('null\n');
  });
  it('refuses fields that it does not know or cannot sort by', async () => {
    expect((await rkt('image', 'list', '--fields=latest')).stderr).toContain('unknown field');
    expect((await rkt('image', 'list', '--sort=id')).stderr).toContain('cannot sort by "id"');
  });
});

it('cat-manifest finds an image by name or by the start of its key', async () => {
  const key = (await store()).stdout.trim();
  const { stdout } = await rkt('image', 'cat-manifest', 'example.org/app:1.0');
  expect(JSON.parse(stdout)).toMatchObject({ name: 'example.org/app' });
  const compact = await rkt('image', 'cat-manifest', key.slice(0, 12), '--pretty-print=false');
  expect(compact.stdout.trimEnd()).not.toContain('\n');
  expect((await rkt('image', 'cat-manifest', 'example.org/other')).code).toBe(254);
});

it('rm removes what it finds and fails for what it does not', async () => {
  const key = (await store()).stdout.trim();
  const { code, stdout, stderr } = await rkt('image', 'rm', 'example.org/none', 'example.org/app');
  expect(code).toBe(254);
  expect(stdout).toBe(`successfully removed aci for image: "${key}"\n`);
  expect(stderr).toContain('1 image(s) successfully removed');
  expect(stderr).toContain('1 image(s) cannot be removed');
  expect((await rkt('image', 'list', '--no-legend')).stdout).toBe('');
});

it('rm of an unknown image makes no data folder', async () => {
  expect((await rkt('image', 'rm', 'example.org/none')).code).toBe(254);
  expect(existsSync(join(folder, 'data'))).toBe(false);
});

describe('in JSON', () => {
  const json = (text: string) => JSON.parse(text);

  it('rm lists what it has removed, and fails for what it has not', async () => {
    const id = (await store()).stdout.trim();
    const images = ['example.org/none', 'example.org/app'];
    const { code, stdout } = await rkt('image', 'rm', '--format=json', ...images);
    expect(code).toBe(254);
    expect(json(stdout)).toEqual([{ id, name: 'example.org/app:1.0' }]);
    const none = await rkt('image', 'rm', '--format=json', 'example.org/none');
    expect(none.stdout).toBe('[]\n');
  });

  it('gc tells which images and trees it has removed', async () => {
    const id = (await store()).stdout.trim();
    const gc = ['image', 'gc', '--grace-period=0s', '--format=json'];
    // A tree that no image has.
    mkdirSync(join(folder, 'data/cas/tree/sha512-left/rootfs'), { recursive: true });
    const { code, stdout } = await rkt(...gc);
    expect(code).toBe(0);
    expect(json(stdout)).toEqual({
      images: [{ id, name: 'example.org/app:1.0' }],
      trees: ['sha512-left'],
    });
    expect(json((await rkt(...gc)).stdout)).toEqual({ images: [], trees: [] });
  });

  it('verify tells what it has repaired, and leaves out what it could not', async () => {
    const id = (await store()).stdout.trim();
    const verify = ['image', 'verify', '--format=json', 'example.org/none', id];
    const sound = { id, name: 'example.org/app:1.0', repaired: [] };
    const first = await rkt(...verify);
    expect(first.code).toBe(254);
    expect(json(first.stdout)).toEqual([sound]);
    writeFileSync(join(folder, 'data/cas/tree', id, 'rootfs/file'), 'CONTENT');
    const repaired = [`tree ${id} differed at "./file"`];
    expect(json((await rkt(...verify)).stdout)).toEqual([{ ...sound, repaired }]);
    expect(json((await rkt(...verify)).stdout)).toEqual([sound]);
  });
});
