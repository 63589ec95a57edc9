import { describe, expect, test } from 'vitest';
import { parseDockerReference, storedName } from '../../../src/image/docker-reference.ts';
import { storeLocalImage } from '../../../src/image/local-image.ts';
import { resolveNamed } from '../../../src/image/named.ts';
import { findInLayoutFolder } from '../../../src/image/oci-layout.ts';
import { nameAgain } from '../../../src/image/publish.ts';
import { removeImage } from '../../../src/image/remove.ts';
import type { Store } from '../../../src/image/store.ts';
import { LayoutMaker, tagged } from '../image/layout-maker.ts';
import { scratchFolder } from '../image/scratch.ts';
import { Content, serveRegistry } from './fake-registry.ts';
import { fetch, scratchStore, tarOf } from './fetching.ts';

/** The key of what `NAME[:VERSION]` is in the store. */
async function stored(store: Store, reference: string, version?: string): Promise<string> {
  const name = storedName(parseDockerReference(reference));
  const labels = version === undefined ? [] : [{ name: 'version', value: version }];
  const options = { pullPolicy: 'never', insecure: { image: true }, warn: () => {} } as const;
  return (await resolveNamed(store, { name, labels }, options)).key;
}

test('an image that comes again from another repository or by another tag has each name', async () => {
  const store = scratchStore();
  const content = new Content();
  content.addImage([tarOf('a', 'content')], 'v1');
  content.addImage([tarOf('a', 'content')], 'v2');
  const { host } = await serveRegistry(content);
  const { key } = await fetch(store, `${host}/one:v1`);
  for (const reference of [`${host}/two:v1`, `${host}/one:v2`, `${host}/two:v1`])
    expect((await fetch(store, reference)).key).toBe(key);
  for (const [name, version] of [['one'], ['one', 'v1'], ['one', 'v2'], ['two'], ['two', 'v1']])
    expect(await stored(store, `${host}/${name}`, version)).toBe(key);
  await expect(stored(store, `${host}/two`, 'v2')).rejects.toMatchObject({ code: 'not-found' });
  expect(store.get(key)?.otherNames).toHaveLength(2);
});

describe('a tag that moves back to an image that is stored', () => {
  const [a, b] = [[tarOf('a', 'A')], [tarOf('b', 'B')]];

  /** A store that has fetched `app:latest` as A, then as B, and the host whose tag is A again. */
  async function movedBack() {
    const store = scratchStore();
    const content = new Content();
    const { host } = await serveRegistry(content);
    const keys: string[] = [];
    for (const layers of [a, b]) {
      content.addImage(layers, 'latest');
      keys.push((await fetch(store, `${host}/app`, { pullPolicy: 'update' })).key);
    }
    content.addImage(a, 'latest');
    const [first, second] = keys;
    return { store, host, content, first, second };
  }

  test.each([`app`, `app:latest`])('is what docker://%s means', async (name) => {
    const { store, host, first, second } = await movedBack();
    expect((await fetch(store, `${host}/${name}`, { pullPolicy: 'new' })).key).toBe(second);
    for (const pullPolicy of ['update', 'new', 'never'] as const)
      expect((await fetch(store, `${host}/${name}`, { pullPolicy })).key).toBe(first);
  });

  test('is what the name without docker:// means', async () => {
    const { store, host, first, second } = await movedBack();
    expect(await stored(store, `${host}/app`)).toBe(second);
    await fetch(store, `${host}/app`, { pullPolicy: 'update' });
    expect(await stored(store, `${host}/app`)).toBe(first);
    expect(await stored(store, `${host}/app`, 'latest')).toBe(first);
  });

  test('means what it meant before once that image is removed', async () => {
    const { store, host, first = '', second } = await movedBack();
    await fetch(store, `${host}/app`, { pullPolicy: 'update' });
    removeImage(store, first, () => false);
    expect(await stored(store, `${host}/app`)).toBe(second);
  });

  test('counts from the last time that the registry was asked, whatever else had its name', async () => {
    const { store, host, first } = await movedBack();
    const fetchLatest = () => fetch(store, `${host}/app`, { pullPolicy: 'update' });
    const { key } = await fetchLatest();
    expect(key).toBe(first);
    const other = new Content();
    other.addImage([tarOf('c', 'C')], 'v1');
    const image = await fetch(store, `${(await serveRegistry(other)).host}/app:v1`);
    nameAgain(store, image, true, { name: store.get(key)?.name ?? '', version: 'latest' });
    expect(await stored(store, `${host}/app`)).toBe(image.key);
    await fetchLatest();
    expect(await stored(store, `${host}/app`)).toBe(key);
  });

  test('is not the latest for being fetched by its digest', async () => {
    const { store, host, content, second } = await movedBack();
    const { digest } = content.addImage(a);
    await fetch(store, `${host}/app@${digest}`, { pullPolicy: 'update' });
    expect(await stored(store, `${host}/app`)).toBe(second);
  });
});

describe('a tag that came out of layouts means what came by it last', () => {
  async function taken() {
    const store = scratchStore();
    const take = async (content: string, tag: string) => {
      const maker = new LayoutMaker(scratchFolder());
      maker.index(maker.image([tarOf('file', content)], tagged(`example.com/app:${tag}`)));
      return (await storeLocalImage(store, findInLayoutFolder(maker.folder), () => {})).key;
    };
    const a = await take('A', 'v1');
    const b = await take('B', 'v1');
    expect(await take('A', 'v2')).toBe(a);
    return { store, a, b };
  }

  test.each(['new', 'never'] as const)('with the pull policy %s', async (pullPolicy) => {
    const { store, a, b } = await taken();
    const find = async (tag: string) =>
      (await fetch(store, `example.com/app:${tag}`, { pullPolicy })).key;
    expect(await find('v1')).toBe(b);
    expect(await find('v2')).toBe(a);
  });

  test('and no tag is what it did not come by', async () => {
    const { store } = await taken();
    for (const name of ['app:v3', 'app', 'other:v1'])
      await expect(
        fetch(store, `example.com/${name}`, { pullPolicy: 'never' }),
      ).rejects.toMatchObject({ code: 'not-found' });
  });
});
