import { describe, expect, test } from 'vitest';
import { wholeFile } from '../../../src/image/byte-range.ts';
import type { BlobSource } from '../../../src/image/oci-select.ts';
import { layoutSignatures } from '../../../src/image/oci-signatures.ts';
import type { FetchOptions } from '../../../src/image/resolve-options.ts';
import { type Blob, LayoutMaker, layoutTypes, tagged } from '../image/layout-maker.ts';
import { scratchFolder } from '../image/scratch.ts';
import { Content, type FakeDescriptor, serveRegistry, types } from './fake-registry.ts';
import { expectEmptyStore, fetch, scratchStore, tarOf } from './fetching.ts';

const mediaType = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** Fetches an image beside which these signatures lie; gives the bytes that were signed. */
async function fetchSigned(layers: (content: Content) => readonly FakeDescriptor[]) {
  const store = scratchStore();
  const content = new Content();
  const image = content.addImage([tarOf('a', 'content')], 'v1');
  const config = content.addBlob(Buffer.from('{}'), types.config);
  const signatures = { schemaVersion: 2, config, layers: layers(content) };
  content.addManifest(signatures, types.manifest, `${image.digest.replace(':', '-')}.sig`);
  const { host, seen } = await serveRegistry(content);
  let found: string[] = [];
  const verifyManifest: FetchOptions['verifyManifest'] = async ({ digest, fetchSignatures }) => {
    found = (await fetchSignatures(digest)).map(({ payload }) => payload.toString());
  };
  const options = { insecure: { image: false }, verifyManifest };
  const fetching = fetch(store, `${host}/app:v1`, options).then(() => found);
  return { fetching, store, seen };
}

describe('signatures that a registry has for an image', () => {
  test('are given to whoever verifies; what is no signature is left out', async () => {
    const { fetching } = await fetchSigned((content) => [
      content.addBlob(Buffer.from('one'), mediaType),
      content.addBlob(Buffer.from('other'), types.layer),
    ]);
    expect(await fetching).toEqual(['one']);
  });

  test.each([
    ['more than a thousand', 1001, 10, /more than 1000 signatures/],
    [
      'one over a document of a megabyte',
      1,
      1 << 20,
      /a document of 1048576 bytes, more than 65536/,
    ],
  ])('%s: refused before one is fetched', async (_what, count, size, message) => {
    const { fetching, store, seen } = await fetchSigned((content) =>
      Array.from({ length: count }, () => content.addBlob(Buffer.alloc(size), mediaType)),
    );
    await expect(fetching).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringMatching(message),
    });
    expect(seen.filter((line) => line.includes('/blobs/'))).toEqual([]);
    expectEmptyStore(store);
  });
});

test('signatures of a layout are no more than a thousand, in however many places', () => {
  const maker = new LayoutMaker(scratchFolder());
  const payload = maker.blob(mediaType, Buffer.from('payload'));
  const config = maker.blob(layoutTypes.config, {});
  const entries = [600, 600].map((count, n) =>
    maker.blob(
      layoutTypes.manifest,
      { schemaVersion: 2, config, layers: Array.from({ length: count }, () => payload), n },
      { annotations: { kind: 'dev.cosignproject.cosign/sigs' } },
    ),
  );
  const index = maker.blob(layoutTypes.index, { schemaVersion: 2, manifests: entries });
  expect(() => layoutSignatures(sourceOf(maker, index), digestOf('a'))).toThrow(/more than 1000/);
});

test('signatures of a layout are those for the image, however many there are for others', () => {
  const maker = new LayoutMaker(scratchFolder());
  const config = maker.blob(layoutTypes.config, {});
  const entry = (name: string, count: number, annotations: Record<string, string>) => {
    const payload = maker.blob(mediaType, Buffer.from(name));
    const layers = Array.from({ length: count }, () => payload);
    const manifest = { schemaVersion: 2, config, layers, name };
    return maker.blob(layoutTypes.manifest, manifest, { annotations });
  };
  const tag = (text: string) => tagged(text).annotations;
  const manifests = [
    entry('a', 1, tag(`sha256-${'a'.repeat(64)}.sig`)),
    entry('b', 1001, tag(`sha256-${'b'.repeat(64)}.sig`)),
    entry('attestation', 1001, tag(`sha256-${'a'.repeat(64)}.att`)),
    entry('sbom', 1001, { kind: 'dev.cosignproject.cosign/sboms' }),
    entry('saved', 1, { kind: 'dev.cosignproject.cosign/sigs' }),
    entry('image', 1, tag('v1')),
  ];
  const index = maker.blob(layoutTypes.index, { schemaVersion: 2, manifests });
  const found = layoutSignatures(sourceOf(maker, index), digestOf('a'));
  expect(found.map(({ payload }) => payload.toString())).toEqual(['a', 'saved']);
});

const digestOf = (digit: string) => `sha256:${digit.repeat(64)}`;

function sourceOf({ folder }: LayoutMaker, { digest }: Blob): BlobSource {
  const find = (each: string) => wholeFile(`${folder}/blobs/${each.replace(':', '/')}`);
  const index = find(digest);
  if (!index) throw new Error('no index');
  return { where: 'x', index, find };
}
