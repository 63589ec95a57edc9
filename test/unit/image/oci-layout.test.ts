import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { wholeFile } from '../../../src/image/byte-range.ts';
import { ImageError } from '../../../src/image/error.ts';
import { findInLayoutFolder } from '../../../src/image/oci-layout.ts';
import { chooseManifest } from '../../../src/image/oci-select.ts';

type Json = Record<string, unknown>;

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};
const refName = 'org.opencontainers.image.ref.name';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layout-'));
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
});
afterEach(() => rmSync(folder, { recursive: true }));

function blob(mediaType: string, content: Json | string, more: Json = {}): Json {
  const bytes = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  const hex = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(folder, 'blobs/sha256', hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length, ...more };
}

/** The descriptor of an image that differs from others by its name. */
function image(name: string, more: Json = {}, parts: Json = {}): Json {
  const config = blob(types.config, {
    os: 'linux',
    architecture: 'amd64',
    author: name,
    rootfs: { type: 'layers', diff_ids: [`sha256:${'1'.repeat(64)}`] },
  });
  const layers = [blob(types.layer, `layer of ${name}`)];
  return blob(types.manifest, { schemaVersion: 2, config, layers, ...parts }, more);
}

const tagged = (tag: string) => ({ annotations: { [refName]: tag } });
const on = (os: string, architecture: string, variant?: string) => ({
  platform: { os, architecture, ...(variant && { variant }) },
});

function index(...manifests: Json[]): Json {
  return { schemaVersion: 2, manifests };
}

function write(...manifests: Json[]): void {
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index(...manifests)));
}

function choose(tag?: string, arches = ['amd64', 'i386']): string {
  const range = wholeFile(join(folder, 'index.json'));
  if (!range) throw new Error('no index.json');
  const find = (digest: string) => wholeFile(join(folder, 'blobs', digest.replace(':', '/')));
  return chooseManifest({ where: folder, index: range, find }, tag, arches).descriptor.digest;
}

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ImageError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('of several images', () => {
  test('the only one is taken, whatever its tag', () => {
    const only = image('a', tagged('v1'));
    write(only);
    expect(choose()).toBe(only['digest']);
  });

  test('the one of the tag is taken', () => {
    const second = image('b', tagged('v2'));
    write(image('a', tagged('v1')), second);
    expect(choose('v2')).toBe(second['digest']);
  });

  test('the one of the digest is taken', () => {
    const second = image('b');
    write(image('a'), second);
    expect(choose(String(second['digest']))).toBe(second['digest']);
  });

  test('two tags of one image are one image', () => {
    const first = image('a', tagged('v1'));
    write(first, { ...first, ...tagged('v2') });
    expect(choose()).toBe(first['digest']);
  });

  test('none is guessed: the tags are listed', () => {
    write(image('a', tagged('v1')), image('b', tagged('v2')));
    expect(refusal(() => choose())).toMatch(/^ambiguous: .*v1, v2$/);
  });

  test('a tag that is not there lists those that are', () => {
    write(image('a', tagged('v1')));
    expect(refusal(() => choose('v9'))).toMatch(/^not-found: no image "v9" .*v1$/);
  });

  test('nor are the images in indexes looked at for that, however many there are', () => {
    const listed = Array.from({ length: 101 }, (_, n) => {
      const manifests = Array.from({ length: 100 }, (_, m) => ({
        mediaType: types.manifest,
        digest: `sha256:${(n * 100 + m).toString(16).padStart(64, '0')}`,
        size: 1,
      }));
      return blob(types.index, index(...manifests), tagged(`v${n}`));
    });
    write(...listed);
    expect(refusal(() => choose('v999'))).toMatch(
      /^not-found: no image "v999" .*v0, v1, .*51 more$/,
    );
    expect(refusal(() => choose())).toMatch(/^ambiguous: .*v0, v1, .*51 more$/);
  });

  test.each([
    ['more than 100', 101, 1, 'more than 100 image indexes'],
    ['of more than 16 MiB', 5, 3.5 * 2 ** 20, 'its image indexes have more than 16 MiB'],
  ])('not from indexes that are %s', (_what, count, size, message) => {
    const nested = Array.from({ length: count }, (_, n) =>
      blob(types.index, { ...index(), n, more: 'x'.repeat(size) }),
    );
    write(blob(types.index, index(...nested), tagged('v1')));
    const found = refusal(() => choose('v1'));
    expect(found).toMatch(/^bad-image: /);
    expect(found).toContain(message);
  });

  test('an empty index has none', () => {
    write();
    expect(refusal(() => choose())).toMatch(/^not-found: .*empty/);
  });
});

describe('of several platforms', () => {
  test("the host's is taken", () => {
    const mine = image('a', on('linux', 'amd64'));
    write(image('b', on('linux', 'arm64', 'v8')), mine, image('c', on('windows', 'amd64')));
    expect(choose()).toBe(mine['digest']);
  });

  test('also in a nested index of a tag', () => {
    const mine = image('a', on('linux', 'amd64'));
    const inner = blob(types.index, index(image('b', on('linux', 'arm64')), mine));
    write(image('c', tagged('v0')), blob(types.index, index(inner), tagged('v1')));
    expect(choose('v1')).toBe(mine['digest']);
  });

  test('one that the host also runs is taken only where there is no better', () => {
    const old = image('a', on('linux', '386'));
    const mine = image('b', on('linux', 'amd64'));
    write(old, mine);
    expect(choose()).toBe(mine['digest']);
    write(old, image('c', on('linux', 'arm64')));
    expect(choose()).toBe(old['digest']);
  });

  test('a variant that needs a newer CPU is not', () => {
    const mine = image('a', on('linux', 'amd64'));
    write(image('b', on('linux', 'amd64', 'v3')), mine);
    expect(choose()).toBe(mine['digest']);
  });

  test('an attestation beside an image is no choice', () => {
    const mine = image('a', on('linux', 'amd64'));
    write(blob(types.index, index(mine, image('b', on('unknown', 'unknown')))));
    expect(choose()).toBe(mine['digest']);
  });

  test('without one for the host, those that are there are listed', () => {
    write(image('a', on('linux', 'arm64', 'v8')), image('b', on('linux', 's390x')));
    expect(refusal(() => choose())).toMatch(
      /^not-found: no image for linux on amd64 or i386 .*linux\/arm64\/v8.*linux\/s390x/,
    );
  });
});

describe('a layout is refused', () => {
  const find = (tag?: string) => refusal(() => findInLayoutFolder(folder, tag));
  const good = () => image('a');

  test('never without a reason', () => {
    write(good());
    expect(find()).toBe('accepted');
  });

  test('without index.json', () => {
    expect(find()).toMatch(/^bad-image: .*no index.json/);
  });

  test('without oci-layout', () => {
    write(good());
    rmSync(join(folder, 'oci-layout'));
    expect(find()).toMatch(/^bad-image: .*no oci-layout/);
  });

  test('of another version', () => {
    write(good());
    writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}');
    expect(find()).toMatch(/^bad-manifest: .*imageLayoutVersion/);
  });

  test('with an index that is no JSON', () => {
    writeFileSync(join(folder, 'index.json'), '<html>');
    expect(find()).toMatch(/^bad-manifest: .*index.json.*not JSON/);
  });

  test('with a wrong field in the index, by its path', () => {
    write({ ...good(), digest: 'sha256:short' });
    expect(find()).toMatch(/^bad-manifest: .*manifests\[0\]\.digest/);
  });

  test.each(['../../../etc/passwd', `sha256:../../${'0'.repeat(58)}`])(
    'with the digest %s',
    (digest) => {
      write({ ...good(), digest });
      expect(find()).toMatch(/^bad-manifest/);
    },
  );

  test('with a manifest whose bytes changed, naming both digests', () => {
    const manifest = good();
    const { digest } = manifest;
    const path = join(folder, 'blobs', String(digest).replace(':', '/'));
    write(manifest);
    writeFileSync(path, ' '.repeat(Number(manifest['size'])));
    expect(find()).toMatch(
      new RegExp(`^mismatch: .*has digest sha256:[0-9a-f]{64}, not ${digest}`),
    );
  });

  test('with a manifest of another size', () => {
    write({ ...good(), size: 1 });
    expect(find()).toMatch(/^mismatch: .*but 1 are promised/);
  });

  test('with a config that is missing', () => {
    const config = blob(types.config, '{}');
    write(image('a', {}, { config: { ...config, digest: `sha256:${'0'.repeat(64)}` } }));
    expect(find()).toMatch(/^not-found: image config sha256:0{64} is missing/);
  });

  test('with a manifest of more than 4 MiB', () => {
    const large = blob(types.manifest, ' '.repeat(5 << 20));
    write(large);
    expect(find()).toMatch(/^bad-image: .*more than/);
  });

  test('with an unknown kind of layer, naming it', () => {
    write(image('a', {}, { layers: [blob('application/x-squashfs', 'x')] }));
    expect(find()).toMatch(/^unsupported: .*layer.*application\/x-squashfs/);
  });

  test('with an artifact that is no image, naming its kind', () => {
    write(image('a', {}, { config: blob('application/vnd.oci.empty.v1+json', '{}') }));
    expect(find()).toMatch(/^unsupported: .*application\/vnd.oci.empty/);
  });

  test('with a layer that is missing, naming it', () => {
    const layer = { mediaType: types.layer, digest: `sha256:${'a'.repeat(64)}`, size: 1 };
    write(image('a', {}, { layers: [layer] }));
    expect(find()).toMatch(/^not-found: layer sha256:a{64} is missing/);
  });

  test('with a blob that is no file', () => {
    const manifest = good();
    const path = join(folder, 'blobs', String(manifest['digest']).replace(':', '/'));
    rmSync(path);
    mkdirSync(path);
    write(manifest);
    expect(find()).toMatch(/^bad-image: .*not a regular file/);
  });
});
