import { expect, test } from 'vitest';
import { parseDockerReference, storedName } from '../../../src/image/docker-reference.ts';
import { resolveNamed } from '../../../src/image/named.ts';
import type { Store } from '../../../src/image/store.ts';
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
