import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostArch } from '../../../src/appc/platform.ts';
import type { ImageManifest, NameValue } from '../../../src/appc/types.ts';
import { buildAci } from '../../../src/image/build.ts';
import { addImage } from '../../../src/image/publish.ts';
import { parsePullPolicy, resolveImage } from '../../../src/image/resolve.ts';
import { openStore, type Store } from '../../../src/image/store.ts';

let scratch = '';
let store: Store;
let warnings: string[] = [];
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'resolve-'));
  store = openStore(join(scratch, 'data'));
  warnings = [];
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function resolve(text: string, { image = false, pullPolicy = 'new' as const } = {}) {
  return resolveImage(store, text, {
    pullPolicy,
    insecure: { image },
    warn: (line) => warnings.push(line),
  });
}

function manifest(name: string, labels: Record<string, string>): ImageManifest {
  const all: NameValue[] = Object.entries({ os: 'linux', arch: hostArch(), ...labels }).map(
    ([label, value]) => ({ name: label, value }),
  );
  return {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name,
    labels: all,
    annotations: [],
    dependencies: [],
    pathWhitelist: [],
  };
}

const key = (digit: string) => `sha512-${digit.repeat(64)}`;

function stored(digit: string, name = 'example.com/app', labels: Record<string, string> = {}) {
  return addImage(store, { key: key(digit), manifest: manifest(name, labels), layers: [] });
}

async function aci(name = 'app.aci'): Promise<string> {
  const folder = join(scratch, 'layout');
  mkdirSync(join(folder, 'rootfs'), { recursive: true });
  writeFileSync(join(folder, 'rootfs/file'), 'content');
  writeFileSync(join(folder, 'manifest'), JSON.stringify(manifest('example.com/file', {})));
  const output = join(scratch, 'built.aci');
  await buildAci({ folder, output, compression: 'gzip', overwrite: true });
  const path = join(scratch, name);
  renameSync(output, path);
  return path;
}

describe('a key', () => {
  test('of at least two digits finds its image', async () => {
    stored('a');
    stored('b');
    expect((await resolve('sha512-aa')).key).toBe(key('a'));
  });

  test('of full length, 128 digits, finds its image', async () => {
    stored('a');
    expect((await resolve(`sha512-${'a'.repeat(128)}`)).key).toBe(key('a'));
  });

  test.each([
    ['sha512-a', 'bad-key'],
    ['sha256-abcd', 'bad-key'],
    ['sha512-cc', 'not-found'],
  ])('%s is refused as %s', async (text, code) => {
    stored('a');
    await expect(resolve(text)).rejects.toMatchObject({ code });
  });

  test('that two images share is ambiguous', async () => {
    for (const last of ['1', '2'])
      addImage(store, {
        key: `sha512-${'a'.repeat(63)}${last}`,
        manifest: manifest('x', {}),
        layers: [],
      });
    await expect(resolve('sha512-aaaa')).rejects.toMatchObject({ code: 'ambiguous' });
  });
});

describe('a name', () => {
  test('finds the image of that name and version', async () => {
    stored('a', 'example.com/app', { version: '1' });
    stored('b', 'example.com/app', { version: '2' });
    expect((await resolve('example.com/app:1')).key).toBe(key('a'));
  });

  test('means the architecture of this host', async () => {
    stored('a', 'example.com/app', { arch: 'other' });
    await expect(resolve('example.com/app')).rejects.toMatchObject({ code: 'not-found' });
    expect((await resolve('example.com/app,arch=other')).key).toBe(key('a'));
  });

  test('that is not stored says so, and how to get it in', async () => {
    await expect(resolve('example.com/app:1')).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/"example.com\/app:1".*not in the store.*rkt image import/),
    });
  });

  test('of a stored image needs no option', async () => {
    stored('a');
    await resolve('example.com/app');
    expect(warnings).toEqual([]);
  });
});

describe('what is on the network', () => {
  test('is not found at a URL without a way to fetch it', async () => {
    await expect(resolve('https://h/x.aci', { image: true })).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('https://h/x.aci'),
    });
  });

  test.each(['docker://redis', 'docker:redis'])(
    'is not found as %s without a way to fetch it',
    async (text) => {
      await expect(resolve(text, { image: true })).rejects.toMatchObject({
        code: 'not-found',
        message: expect.stringContaining(text),
      });
    },
  );
});

describe('a local file', () => {
  test('is refused while nobody verified it, naming the option; nothing is stored', async () => {
    const path = await aci();
    await expect(resolve(path)).rejects.toMatchObject({
      code: 'untrusted',
      message: expect.stringMatching(/app\.aci .*not verified.*--insecure-options=image/),
    });
    expect(existsSync(store.cas)).toBe(false);
  });

  test('is refused like that also when it was imported before', async () => {
    const path = await aci();
    await resolve(path, { image: true });
    await expect(resolve(path)).rejects.toMatchObject({ code: 'untrusted' });
  });

  test('is imported with the option, and a warning', async () => {
    const image = await resolve(await aci(), { image: true });
    expect(image.name).toBe('example.com/file');
    expect(warnings).toEqual([expect.stringMatching(/app\.aci .*unverified/)]);
    expect((await resolve('example.com/file')).key).toBe(image.key);
  });

  test.each(['app.tar', 'app'])('is told by its content to be an ACI: %s', async (name) => {
    const image = await resolve(await aci(name), { image: true });
    expect(image.name).toBe('example.com/file');
  });

  test('is read whatever the pull policy', async () => {
    for (const pullPolicy of ['never', 'update'] as const)
      expect(
        await resolveImage(store, await aci(), {
          pullPolicy,
          insecure: { image: true },
          warn: () => {},
        }),
      ).toMatchObject({ name: 'example.com/file' });
  });

  test('is not read again while it is unchanged', async () => {
    const path = await aci();
    // With a time of change in the future, each read shows in the time of access (relatime).
    utimesSync(path, 1, 4e9);
    while (Date.now() - statSync(path).ctimeMs < 30) await delay(5);
    const { key: first } = await resolve(path, { image: true });
    const read = statSync(path, { bigint: true }).atimeNs;
    expect(read).toBeGreaterThan(1_000_000_000n);
    expect((await resolve(path, { image: true })).key).toBe(first);
    expect(statSync(path, { bigint: true }).atimeNs).toBe(read);
  });

  test('that does not exist is named', async () => {
    await expect(resolve(join(scratch, 'none.aci'), { image: true })).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/none\.aci: no such file/),
    });
  });

  test.each([
    ['empty', ''],
    ['HTML', '<!doctype html><html></html>'],
    ['noise', 'x'.repeat(4096)],
  ])('of %s is no image, and leaves nothing', async (_what, content) => {
    const path = join(scratch, 'bad');
    writeFileSync(path, content);
    await expect(resolve(path, { image: true })).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringContaining(path),
    });
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });

  test('that is a tar of something else is refused by its first member', async () => {
    const path = join(scratch, 'other.tar');
    writeFileSync(join(scratch, 'passwd'), 'x');
    execFileSync('tar', ['-C', scratch, '-cf', path, 'passwd']);
    await expect(resolve(path, { image: true })).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringMatching(/neither an ACI nor.*"passwd"/),
    });
  });

  test('that is a folder without a layout is refused', async () => {
    await expect(resolve(`${scratch}/`, { image: true })).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringContaining('no OCI layout'),
    });
  });
});

describe('a pull policy', () => {
  test.each(['new', 'never', 'update'])('%s is one', (text) => {
    expect(parsePullPolicy(text)).toBe(text);
  });

  test.each(['bogus', '', 'NEW'])('"%s" is none', (text) => {
    expect(() => parsePullPolicy(text)).toThrow(/must be one of new, never, update/);
  });
});
