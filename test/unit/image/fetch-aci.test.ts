import { expect, test } from 'vitest';
import { takeSlot } from '../../../src/http/slot.ts';
import { fetchAci } from '../../../src/image/fetch-aci.ts';
import { writeRemote } from '../../../src/image/remote-record.ts';
import { client } from '../http/server.ts';
import { aciOf, store as importBytes } from './images.ts';
import { scratch } from './scratch.ts';

test('what another process downloads meanwhile has the name that is waited for it by', async () => {
  const { store } = scratch();
  const url = 'https://example.com/app.aci';
  const old = { labels: [{ name: 'version', value: '0.9' }] };
  const image = await importBytes(store, aciOf('app', old));
  const newest = await importBytes(store, aciOf('app'));
  const best = () => store.findByName('example.com/app', [])[0]?.key;
  expect(best()).toBe(newest.key);
  const slot = await takeSlot(store.path('tmp'), url, () => {});
  const lines: string[] = [];
  const waiting = fetchAci(
    store,
    { url, signatureUrl: `${url}.asc`, plainHttp: false, accept: () => {}, latest: true },
    {
      client: client(),
      pullPolicy: 'new',
      insecure: { image: true },
      warn: () => {},
      info: (line) => lines.push(line),
    },
  );
  await expect.poll(() => lines).toEqual([expect.stringMatching(/another process downloads/)]);
  writeRemote(store, { url, key: image.key, askedAt: Date.now(), maxAge: 0, verified: false });
  slot.release();
  expect((await waiting).key).toBe(image.key);
  expect(best()).toBe(image.key);
});
