import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Store, StoredImage } from '../../../src/image/store.ts';
import { Content, type Special, serveRegistry, types } from './fake-registry.ts';
import { expectEmptyStore, fetch, scratchStore, tarOf } from './fetching.ts';

/** What a tar with these bytes has is not compressed by gzip, so the layer is as long. */
const bytes = randomBytes(1 << 20);
const content = new Content();
content.addImage([tarOf('random', bytes)], 'v1');
const manifest = JSON.parse(content.manifests.get('v1')?.bytes.toString() ?? '');
const [{ digest, size }] = manifest.layers;
const layer = content.blobs.get(digest) ?? Buffer.alloc(0);
const half = layer.length >> 1;

let store: Store;
beforeEach(() => {
  store = scratchStore();
});

/** A registry that answers requests for the layer, each in its own way. */
async function answering(...answers: ((range: string | undefined) => Answer)[]) {
  const ranges: (string | undefined)[] = [];
  const special: Special = ({ url, headers }, response) => {
    if (!url?.endsWith(digest)) return false;
    ranges.push(headers.range);
    const { status, body, from, length } = answers[ranges.length - 1]?.(headers.range) ?? no;
    response.writeHead(status, {
      'content-length': length,
      ...(status === 206 && { 'content-range': `bytes ${from}-${size - 1}/${size}` }),
    });
    response.write(body, () => {
      if (body.length === length) response.end();
      else response.destroy();
    });
    return true;
  };
  return { ...(await serveRegistry(content, special)), ranges };
}

interface Answer {
  status: number;
  body: Buffer;
  from: number;
  length: number;
}
const no: Answer = { status: 404, body: Buffer.from('{}'), from: 0, length: 2 };
const cut = (): Answer => ({ status: 200, body: layer.subarray(0, half), from: 0, length: size });
const whole = (): Answer => ({ status: 200, body: layer, from: 0, length: size });
const broken = (): Answer => ({ status: 502, body: Buffer.from('{}'), from: 0, length: 2 });
const rest = (range: string | undefined): Answer => {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1]);
  const body = layer.subarray(from);
  return { status: 206, body, from, length: body.length };
};

function expectContent({ layers }: StoredImage): void {
  expect(readFileSync(join(store.treeRoot(layers[0] ?? ''), 'random')).equals(bytes)).toBe(true);
  expect(readdirSync(store.path('tmp'))).toEqual([]);
}

describe('a layer whose connection ended', () => {
  test('goes on from there', async () => {
    const { host, ranges } = await answering(cut, rest);
    expectContent(await fetch(store, `${host}/app:v1`));
    expect(ranges[0]).toBeUndefined();
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
  });

  test('is unpacked all the same where the registry starts again from the first byte', async () => {
    const { host, ranges } = await answering(cut, whole);
    expectContent(await fetch(store, `${host}/app:v1`));
    expect(ranges).toHaveLength(2);
  });

  test('is kept, and the next fetch goes on from there', async () => {
    const { host, ranges } = await answering(cut, broken, rest);
    await expect(fetch(store, `${host}/app:v1`)).rejects.toMatchObject({ status: 502 });
    const [slot = ''] = readdirSync(store.path('tmp'));
    expect(statSync(store.path('tmp', slot, 'data')).size).toBe(half);
    expectContent(await fetch(store, `${host}/app:v1`));
    expect(ranges.slice(1)).toEqual([`bytes=${half}-`, `bytes=${half}-`]);
  });

  test('is taken on from another registry that has it', async () => {
    const first = await answering(cut, broken);
    await expect(fetch(store, `${first.host}/app:v1`)).rejects.toMatchObject({ status: 502 });
    const second = await answering(rest);
    expectContent(await fetch(store, `${second.host}/app:v1`));
    expect(second.ranges).toEqual([`bytes=${half}-`]);
  });

  test('and that is something else then is fetched anew', async () => {
    const other = (range: string | undefined): Answer => {
      const answer = rest(range);
      return { ...answer, body: Buffer.alloc(answer.body.length) };
    };
    const { host, ranges } = await answering(cut, other, whole);
    expectContent(await fetch(store, `${host}/app:v1`));
    expect(ranges).toHaveLength(3);
  });
});

test('a layer that the registry has lost leaves nothing', async () => {
  const { host } = await answering(() => no);
  await expect(fetch(store, `${host}/app:v1`)).rejects.toMatchObject({ status: 404 });
  expectEmptyStore(store);
});

test('the failure of one layer ends the others, and is what is told', async () => {
  const two = new Content();
  two.addImage([tarOf('a', 'content'), tarOf('b', randomBytes(1 << 16))], 'v1');
  const { layers } = JSON.parse(two.manifests.get('v1')?.bytes.toString() ?? '');
  let ended = false;
  const { host } = await serveRegistry(two, ({ url }, response) => {
    if (url?.endsWith(layers[0].digest)) response.writeHead(404).end('{}');
    else if (url?.endsWith(layers[1].digest)) {
      response.on('close', () => {
        ended = true;
      });
      response.writeHead(200, { 'content-type': types.layer }).write('never ends');
    } else return false;
    return true;
  });
  await expect(fetch(store, `${host}/app:v1`)).rejects.toMatchObject({ status: 404 });
  expect(ended).toBe(true);
  expectEmptyStore(store);
});

test('a layer is unpacked while it comes', async () => {
  let release = (): void => {};
  const { host } = await serveRegistry(content, ({ url }, response) => {
    if (!url?.endsWith(digest)) return false;
    response.writeHead(200, { 'content-length': size }).write(layer.subarray(0, half));
    release = () => response.end(layer.subarray(half));
    return true;
  });
  const fetching = fetch(store, `${host}/app:v1`);
  const unpacked = () =>
    existsSync(store.path('tmp')) &&
    readdirSync(store.path('tmp')).some((name) => {
      const file = store.path('tmp', name, 'tree/rootfs/random');
      return existsSync(file) && statSync(file).size > 0;
    });
  while (!unpacked()) await new Promise((resolve) => setTimeout(resolve, 5));
  release();
  expectContent(await fetching);
});

test('six layers are fetched at once', async () => {
  const many = new Content();
  many.addImage(
    Array.from({ length: 14 }, (_, n) => tarOf(`file-${n}`, 'content')),
    'v1',
  );
  const { config } = JSON.parse(many.manifests.get('v1')?.bytes.toString() ?? '');
  const open: { response: ServerResponse; bytes: Buffer | undefined }[] = [];
  let [most, answered] = [0, 0];
  /** Answers when six wait, or all that are left: a client that asks for fewer at once waits for ever. */
  const { host } = await serveRegistry(many, ({ url = '' }, response) => {
    const asked = url.split('/').at(-1) ?? '';
    if (!url.includes('/blobs/') || asked === config.digest) return false;
    open.push({ response, bytes: many.blobs.get(asked) });
    most = Math.max(most, open.length);
    if (open.length === Math.min(6, 14 - answered))
      for (const each of open.splice(0)) {
        answered++;
        each.response.end(each.bytes);
      }
    return true;
  });
  expect((await fetch(store, `${host}/app:v1`)).layers).toHaveLength(14);
  expect([most, answered]).toEqual([6, 14]);
});
