import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type ResolveOptions, resolveImage } from '../../../src/image/resolve.ts';
import { scratch } from './scratch.ts';
import { aci, MANIFEST } from './tar-maker.ts';

const good = aci([{ name: 'rootfs/good', content: 'good' }]);
const evil = aci([{ name: 'rootfs/evil', content: 'evil' }]);
const { name } = JSON.parse(MANIFEST);

/** An ACI file beside whose signature is a copy of the signed bytes, and all the bytes that were checked. */
function signedFile(bytes: Buffer) {
  const { store, folder, file } = scratch();
  const path = file('a.aci', bytes);
  file('a.aci.asc', bytes);
  const checked: string[] = [];
  const resolve = (meanwhile = () => {}, more: Partial<ResolveOptions> = {}) =>
    resolveImage(store, path, {
      pullPolicy: 'new',
      insecure: { image: false },
      warn: () => {},
      async verify({ file: given, signature }) {
        checked.push(given);
        if (!readFileSync(given).equals(readFileSync(signature))) throw new Error('bad signature');
        meanwhile();
        return { signers: ['somebody'], name };
      },
      ...more,
    });
  return { store, folder, path, file, checked, resolve };
}

describe('of a signed file', () => {
  test('what was checked is taken, whatever its path leads to by then', async () => {
    const { store, folder, path, file, resolve } = signedFile(good);
    renameSync(path, join(folder, 'good'));
    symlinkSync('good', path);
    file('evil', evil);
    const { key } = await resolve(() => {
      symlinkSync('evil', join(folder, 'link'));
      renameSync(join(folder, 'link'), path);
    });
    expect(readdirSync(store.treeRoot(key))).toEqual(['good']);
    expect(readFileSync(path)).toEqual(evil);
  });

  test('what was checked is taken, whatever is written to it by then', async () => {
    const { store, path, resolve } = signedFile(good);
    const { key } = await resolve(() => writeFileSync(path, evil));
    expect(readdirSync(store.treeRoot(key))).toEqual(['good']);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });

  test('the stored bytes are checked when it comes again unchanged', async () => {
    const { store, resolve, checked } = signedFile(good);
    const { key } = await resolve();
    while (checked.at(-1) !== store.blobPath(key)) expect((await resolve()).key).toBe(key);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });

  test('another signature that is none refuses it, though it is stored', async () => {
    const { file, resolve } = signedFile(good);
    await resolve();
    file('a.aci.asc', evil);
    await expect(resolve()).rejects.toThrow('bad signature');
  });

  test('the same image, compressed in another way, needs a signature of its own', async () => {
    const { path, file, resolve, checked } = signedFile(good);
    const { key } = await resolve();
    file('a.aci', gzipSync(good));
    await expect(resolve()).rejects.toThrow('bad signature');
    file('a.aci.asc', gzipSync(good));
    for (let n = 0; n < 3; n++) expect((await resolve()).key).toBe(key);
    expect(checked).not.toContain(path);
  });

  test('no more is copied than there is room for', async () => {
    const { store, path, resolve, checked } = signedFile(good);
    truncateSync(path, 2 ** 43);
    await expect(resolve()).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(
        /^import .*a\.aci: no space left on the disk for a copy of its 8796093022208 bytes: \d+ are free$/,
      ),
    });
    expect(checked).toEqual([]);
    expect(existsSync(store.path('tmp')) && readdirSync(store.path('tmp'))).toEqual([]);
  });
});
