import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../../../src/image/store.ts';
import { serve } from '../http/server.ts';
import { Content, digestOf, type FakeDescriptor, serveRegistry, types } from './fake-registry.ts';
import { expectEmptyStore, fetch, scratchStore, tarOf } from './fetching.ts';

let store: Store;
let content: Content;
beforeEach(() => {
  store = scratchStore();
  content = new Content();
});

const layer = tarOf('a', 'content');

async function refused(name = 'app:v1'): Promise<unknown> {
  const { host } = await serveRegistry(content);
  const error: unknown = await fetch(store, `${host}/${name}`).catch((thrown) => thrown);
  expectEmptyStore(store);
  return error;
}

/** The manifest of the image `app:v1`, changed. */
function change(edit: (manifest: { config: FakeDescriptor; layers: FakeDescriptor[] }) => object) {
  content.addImage([layer], 'v1');
  const found = JSON.parse(content.manifests.get('v1')?.bytes.toString() ?? '');
  content.addManifest({ ...found, ...edit(found) }, types.manifest, 'v1');
}

const wrong = `sha256:${'0'.repeat(64)}`;

describe('bytes that are not those of their digest are refused:', () => {
  test('a manifest by digest', async () => {
    content.addImage([layer], 'v1');
    const { bytes = Buffer.alloc(0), mediaType = '' } = content.manifests.get('v1') ?? {};
    content.manifests.set(wrong, { bytes, mediaType });
    expect(await refused(`app@${wrong}`)).toMatchObject({
      code: 'mismatch',
      message: expect.stringContaining(`has digest ${digestOf(bytes)}, not ${wrong}`),
    });
  });

  test('a manifest by tag, when the registry says another digest', async () => {
    content.addImage([layer], 'v1');
    const { bytes = Buffer.alloc(0) } = content.manifests.get('v1') ?? {};
    const { host } = await serveRegistry(content, ({ url }, response) => {
      if (!url?.endsWith('/manifests/v1')) return false;
      const headers = { 'content-type': types.manifest, 'docker-content-digest': wrong };
      response.writeHead(200, headers).end(bytes);
      return true;
    });
    await expect(fetch(store, `${host}/app:v1`)).rejects.toMatchObject({ code: 'mismatch' });
  });

  test('a config', async () => {
    change(({ config }) => {
      const bytes = content.blobs.get(config.digest) ?? Buffer.alloc(0);
      content.blobs.set(config.digest, Buffer.from(bytes.toString().replace('linux', 'Linux')));
      return {};
    });
    expect(await refused()).toMatchObject({
      code: 'mismatch',
      message: expect.stringContaining('image config sha256:'),
    });
  });

  test('a layer, also when it unpacks', async () => {
    change(({ layers }) => {
      const [{ digest } = { digest: '' }] = layers;
      const other = gzipSync(layer, { level: 1 });
      other[9] = 7;
      content.blobs.set(digest, other);
      return {};
    });
    expect(await refused()).toMatchObject({ code: 'mismatch' });
  });

  test('a layer that unpacks to another diff id', async () => {
    change(() => ({ layers: [content.addBlob(gzipSync(tarOf('b', '')), types.layer)] }));
    expect(await refused()).toMatchObject({
      code: 'mismatch',
      message: expect.stringMatching(/its diff id is sha256:\w+, not sha256:/),
    });
  });
});

describe('bytes that are not as many as promised are refused:', () => {
  test.each([-1, 1])('a layer, by %i', async (by) => {
    change(({ layers }) => ({ layers: layers.map((one) => ({ ...one, size: one.size + by })) }));
    expect(await refused()).toMatchObject({ code: 'mismatch' });
  });

  test.each([-1, 1])('a config, by %i', async (by) => {
    change(({ config }) => ({ config: { ...config, size: config.size + by } }));
    expect(await refused()).toMatchObject({ code: 'mismatch' });
  });

  test('a manifest in an index', async () => {
    const child = content.addImage([layer]);
    const manifests = [{ ...child, size: child.size + 1 }];
    content.addManifest({ schemaVersion: 2, manifests }, types.index, 'v1');
    expect(await refused()).toMatchObject({ code: 'mismatch' });
  });

  test('a manifest of more than 4 MiB', async () => {
    const filler = 'x'.repeat(4 << 20);
    content.addManifest({ schemaVersion: 2, filler }, types.manifest, 'v1');
    expect(await refused()).toMatchObject({ code: 'too-large' });
  });
});

describe('what is no image that can be run is refused:', () => {
  test("Docker's schema 1", async () => {
    const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
    content.addManifest({ schemaVersion: 1, fsLayers: [] }, type, 'v1');
    expect(await refused()).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('schema 1'),
    });
  });

  test.each([
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  ])('a layer that is elsewhere: %s', async (mediaType) => {
    change(({ layers }) => ({ layers: layers.map((one) => ({ ...one, mediaType })) }));
    expect(await refused()).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('not in the registry but at a place of its own'),
    });
  });

  test('an artifact of another kind', async () => {
    const mediaType = 'application/vnd.cncf.helm.config.v1+json';
    change(({ config }) => ({ config: { ...config, mediaType } }));
    expect(await refused()).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('helm'),
    });
  });

  test('a manifest that is an index as well', async () => {
    change(() => ({ manifests: [] }));
    expect(await refused()).toMatchObject({
      code: 'bad-manifest',
      message: expect.stringContaining('both an index and an image'),
    });
  });

  test('a manifest that calls itself something else than the registry does', async () => {
    change(() => ({ mediaType: types.index }));
    expect(await refused()).toMatchObject({
      code: 'bad-manifest',
      message: expect.stringContaining('it calls itself'),
    });
  });

  test('a manifest with another number of layers than its config', async () => {
    change(({ layers }) => ({ layers: [...layers, ...layers] }));
    expect(await refused()).toMatchObject({
      code: 'bad-image',
      message: expect.stringContaining('has 2 layers, but its config names 1'),
    });
  });

  test('a manifest that is no JSON', async () => {
    content.manifests.set('v1', { mediaType: types.manifest, bytes: Buffer.from('{') });
    expect(await refused()).toMatchObject({ code: 'bad-manifest' });
  });
});

describe('an index', () => {
  const on = (one: FakeDescriptor, architecture: string, os = 'linux') => ({
    ...one,
    platform: { os, architecture },
  });

  test('without an image for this host is refused, with what it has', async () => {
    const manifests = [
      on(content.addImage([layer], 'a', 's390x'), 's390x'),
      on(content.addImage([layer], 'b', 'riscv64'), 'riscv64'),
    ];
    content.addManifest({ schemaVersion: 2, manifests }, types.index, 'v1');
    expect(await refused()).toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/it has .*linux\/s390x.*linux\/riscv64/),
    });
  });

  test('may have attestations beside its images', async () => {
    const image = content.addImage([layer], 'a');
    const note = content.addManifest({ schemaVersion: 2, layers: [] }, types.manifest);
    const manifests = [on(note, 'unknown', 'unknown'), on(image, 'amd64'), on(image, 'amd64')];
    content.addManifest({ schemaVersion: 2, manifests }, types.index, 'v1');
    const { host } = await serveRegistry(content);
    expect((await fetch(store, `${host}/app:v1`)).layers).toHaveLength(1);
  });

  test('that is empty is refused', async () => {
    content.addManifest({ schemaVersion: 2, manifests: [] }, types.index, 'v1');
    expect(await refused()).toMatchObject({ code: 'not-found' });
  });

  test('of too many indexes is refused', async () => {
    const manifests = Array.from({ length: 101 }, (_, n) =>
      content.addManifest({ schemaVersion: 2, manifests: [], n }, types.index),
    );
    content.addManifest({ schemaVersion: 2, manifests }, types.index, 'v1');
    expect(await refused()).toMatchObject({ code: 'bad-image' });
  });

  test('of indexes that are too large together is refused before the last is fetched', async () => {
    const manifests = Array.from({ length: 5 }, (_, n) =>
      content.addManifest(
        { schemaVersion: 2, manifests: [], n, more: 'x'.repeat(3.5 * 2 ** 20) },
        types.index,
      ),
    );
    content.addManifest({ schemaVersion: 2, manifests }, types.index, 'v1');
    expect(await refused()).toMatchObject({
      code: 'bad-image',
      message: expect.stringContaining('its image indexes have more than 16 MiB'),
    });
  });

  test('of too many images is refused', async () => {
    const manifests = Array.from({ length: 10_001 }, (_, n) => ({
      mediaType: types.manifest,
      digest: `sha256:${n.toString(16).padStart(64, '0')}`,
      size: 1,
    }));
    content.addManifest({ schemaVersion: 2, manifests }, types.index, 'v1');
    expect(await refused()).toMatchObject({
      code: 'bad-image',
      message: expect.stringContaining('more than 10000 images'),
    });
  });
});

describe('an answer that is no use', () => {
  test('is told in the words of the registry, on one line', async () => {
    const { host } = await serveRegistry(content, ({ url }, response) => {
      if (url === '/v2/') return false;
      const errors = [{ code: 'TOOMANYREQUESTS', message: 'slow\n down\u001b[31m' }];
      response.writeHead(429).end(JSON.stringify({ errors }));
      return true;
    });
    await expect(fetch(store, `${host}/app:v1`)).rejects.toMatchObject({
      status: 429,
      message: `cannot get manifest v1 of docker://${host}/app:v1: bad HTTP status code: 429: slow down [31m`,
    });
  });

  test('of a server that is no registry says so', async () => {
    const origin = await serve((_, response) => response.writeHead(404).end('hello'));
    const host = new URL(origin).host;
    await expect(fetch(store, `${host}/app:v1`)).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining(`${host} is no registry`),
    });
  });
});
