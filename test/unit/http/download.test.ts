import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type DownloadRequest, download } from '../../../src/http/download.ts';
import { type DownloadSlot, takeSlot } from '../../../src/http/slot.ts';
import { client, scratchFolder, serve } from './server.ts';

const content = randomBytes(300_000);
const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;

interface Behaviour {
  /** Ends the connection after so many bytes of the content, request by request. */
  readonly cuts?: readonly number[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly content?: Buffer;
}

/** A server of one file that understands Range and If-Range, and cuts where it is told to. */
async function fileServer({ cuts = [], headers = { etag: '"1"' }, ...rest }: Behaviour) {
  const seen: IncomingHttpHeaders[] = [];
  const now: { headers: Readonly<Record<string, string>>; content: Buffer } = {
    headers,
    content: rest.content ?? content,
  };
  const origin = await serve((request, response) => {
    seen.push(request.headers);
    const cut = cuts[seen.length - 1];
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const known = request.headers['if-range'];
    const same = known === undefined || Object.values(now.headers).includes(String(known));
    if (start > 0 && same) {
      const size = now.content.length;
      const range = start < size ? `bytes ${start}-${size - 1}/${size}` : `bytes */${size}`;
      response.writeHead(start < size ? 206 : 416, {
        ...now.headers,
        'content-range': range,
        ...(start < size && { 'content-length': size - start }),
      });
      send(response, now.content.subarray(start), cut === undefined ? undefined : cut - start);
    } else {
      response.writeHead(200, { ...now.headers, 'content-length': now.content.length });
      send(response, now.content, cut);
    }
  });
  return { url: `${origin}/x`, seen, now, ranges: () => seen.map(({ range }) => range) };
}

function send(response: ServerResponse, bytes: Buffer, cut: number | undefined): void {
  if (cut === undefined) response.end(bytes);
  else response.write(bytes.subarray(0, cut), () => response.destroy());
}

/** The slot of a URL, given up at the end of the test. */
async function slotOf(url: string, folder = scratchFolder()): Promise<DownloadSlot> {
  const slot = await takeSlot(folder, url, () => {});
  onTestFinished(() => slot.release());
  return slot;
}

async function get(slot: DownloadSlot, request: DownloadRequest): Promise<Buffer> {
  const { modified, size } = await download(client(), slot, request);
  const bytes = readFileSync(slot.file);
  expect([modified, size]).toEqual([true, bytes.length]);
  return bytes;
}

test('a file comes whole, with progress to its end', async () => {
  const { url } = await fileServer({});
  const progress: (number | undefined)[][] = [];
  const bytes = await get(await slotOf(url), {
    url,
    progress: (...now) => progress.push(now),
  });
  expect(bytes.equals(content)).toBe(true);
  expect(progress[0]).toEqual([0, content.length]);
  expect(progress.at(-1)).toEqual([content.length, content.length]);
});

test('a file without a length comes whole', async () => {
  const url = await serve((_, response) => {
    response.write(content);
    response.end();
  });
  expect((await get(await slotOf(url), { url })).equals(content)).toBe(true);
});

test('a download goes on after cuts, from the byte where each was', async () => {
  const { url, ranges } = await fileServer({ cuts: [100_000, 200_000] });
  expect((await get(await slotOf(url), { url })).equals(content)).toBe(true);
  expect(ranges()).toEqual([undefined, 'bytes=100000-', 'bytes=200000-']);
});

test('a download that makes no way is given up', async () => {
  const { url, seen } = await fileServer({ cuts: [100_000, 100_000, 100_000] });
  await expect(get(await slotOf(url), { url })).rejects.toMatchObject({ code: 'interrupted' });
  expect(seen).toHaveLength(2);
});

test('an unchanged file is continued by the next command', async () => {
  const folder = scratchFolder();
  const { url, ranges } = await fileServer({ cuts: [100_000, 100_000] });
  const first = await slotOf(url, folder);
  await expect(get(first, { url })).rejects.toMatchObject({ code: 'interrupted' });
  first.release();
  expect((await get(await slotOf(url, folder), { url })).equals(content)).toBe(true);
  expect(ranges().at(-1)).toBe('bytes=100000-');
});

test.each([
  ['another ETag', { etag: '"2"' }],
  ['a weak ETag', { etag: 'W/"1"' }],
])('a file with %s is started again', async (_, headers) => {
  const folder = scratchFolder();
  const { url, now } = await fileServer({ cuts: [100_000, 100_000], headers });
  const first = await slotOf(url, folder);
  await get(first, { url }).catch(() => {});
  first.release();
  now.content = randomBytes(200_000);
  now.headers = { etag: '"3"' };
  expect((await get(await slotOf(url, folder), { url })).equals(now.content)).toBe(true);
});

test('a file is continued by its Last-Modified where it has no ETag', async () => {
  const headers = { 'last-modified': 'Wed, 21 Oct 2015 07:28:00 GMT' };
  const { url, seen } = await fileServer({ cuts: [100_000], headers });
  expect((await get(await slotOf(url), { url })).equals(content)).toBe(true);
  expect(seen[1]?.['if-range']).toBe(headers['last-modified']);
});

test('a file that nothing identifies is started again', async () => {
  const { url, ranges } = await fileServer({ cuts: [100_000], headers: {} });
  expect((await get(await slotOf(url), { url })).equals(content)).toBe(true);
  expect(ranges()).toEqual([undefined, undefined]);
});

test('a file with a known digest is continued whatever the server says of it', async () => {
  const { url, ranges } = await fileServer({ cuts: [100_000], headers: {} });
  expect((await get(await slotOf(url), { url, digest })).equals(content)).toBe(true);
  expect(ranges()).toEqual([undefined, 'bytes=100000-']);
});

test('a whole file that nobody took is not downloaded twice', async () => {
  const folder = scratchFolder();
  const { url, ranges } = await fileServer({});
  const first = await slotOf(url, folder);
  await get(first, { url });
  first.release();
  expect((await get(await slotOf(url, folder), { url })).equals(content)).toBe(true);
  expect(ranges()).toEqual([undefined, `bytes=${content.length - 1}-`]);
});

test('416 starts again', async () => {
  const folder = scratchFolder();
  const { url, now } = await fileServer({ cuts: [100_000, 100_000] });
  const first = await slotOf(url, folder);
  await get(first, { url }).catch(() => {});
  first.release();
  now.content = randomBytes(50_000);
  expect((await get(await slotOf(url, folder), { url })).equals(now.content)).toBe(true);
});

test('a partial file from before a restart of the machine is not continued', async () => {
  const folder = scratchFolder();
  const { url, ranges } = await fileServer({ cuts: [100_000, 100_000] });
  const first = await slotOf(url, folder);
  await get(first, { url }).catch(() => {});
  const record = JSON.parse(readFileSync(first.record, 'utf8'));
  writeFileSync(first.record, JSON.stringify({ ...record, boot: 'another' }));
  first.release();
  expect((await get(await slotOf(url, folder), { url })).equals(content)).toBe(true);
  expect(ranges().at(-1)).toBeUndefined();
});

test('a partial file whose record is damaged is not continued', async () => {
  const folder = scratchFolder();
  const { url } = await fileServer({ cuts: [100_000, 100_000] });
  const first = await slotOf(url, folder);
  await get(first, { url }).catch(() => {});
  writeFileSync(first.record, '{"etag"');
  first.release();
  expect((await get(await slotOf(url, folder), { url })).equals(content)).toBe(true);
});

test('an answer for another range than the one asked for is started again', async () => {
  const ranges: (string | undefined)[] = [];
  const origin = await serve((request, response) => {
    const { range } = request.headers;
    ranges.push(range);
    const headers = { etag: '"1"', 'content-length': content.length };
    if (range === undefined) {
      response.writeHead(200, headers);
      send(response, content, ranges.length === 1 ? 100_000 : undefined);
    } else
      response
        .writeHead(206, {
          ...headers,
          'content-range': `bytes 0-${content.length - 1}/${content.length}`,
        })
        .end(content);
  });
  expect((await get(await slotOf(origin), { url: origin })).equals(content)).toBe(true);
  expect(ranges).toEqual([undefined, 'bytes=100000-', undefined]);
});

test('an ETag that is still the server’s gives no file', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const url = await serve((request, response) => {
    seen.push(request.headers);
    response.writeHead(304, { 'cache-control': 'max-age=7' }).end();
  });
  const slot = await slotOf(url);
  const answer = await download(client(), slot, { url, etag: '"1"' });
  expect([answer.modified, answer.header('cache-control')]).toEqual([false, 'max-age=7']);
  expect(seen[0]?.['if-none-match']).toBe('"1"');
  expect(existsSync(slot.file)).toBe(false);
});

test.each([202, 204, 206, 304, 404, 500])('status %i is refused', async (status) => {
  const url = await serve((_, response) => response.writeHead(status).end());
  await expect(get(await slotOf(url), { url })).rejects.toMatchObject({
    code: 'status',
    status,
    message: expect.stringContaining(`bad HTTP status code: ${status}`),
  });
});

test.each([
  ['with a length', true],
  ['without a length', false],
])('more bytes than allowed, %s, are refused', async (_, withLength) => {
  const url = await serve((_, response) => {
    if (withLength) response.setHeader('content-length', content.length);
    response.write(content.subarray(0, 1000));
    response.end(content.subarray(1000));
  });
  await expect(get(await slotOf(url), { url, limit: 299_999 })).rejects.toMatchObject({
    code: 'too-large',
  });
});

test.each([content.length - 1, content.length + 1])(
  'not the promised size is refused: %i',
  async (size) => {
    const { url } = await fileServer({});
    const slot = await slotOf(url);
    await expect(get(slot, { url, size })).rejects.toMatchObject({ code: 'mismatch' });
    expect(existsSync(slot.file)).toBe(false);
  },
);

test('not the promised digest is refused, naming both; nothing is kept', async () => {
  const { url, seen } = await fileServer({ content: randomBytes(10) });
  const slot = await slotOf(url);
  await expect(get(slot, { url, digest })).rejects.toMatchObject({
    code: 'mismatch',
    message: expect.stringMatching(new RegExp(`its digest is sha256:[0-9a-f]{64}, not ${digest}$`)),
  });
  expect(existsSync(slot.file)).toBe(false);
  expect(seen).toHaveLength(1);
});

test('a damaged partial file with a known digest is downloaded again, once', async () => {
  const folder = scratchFolder();
  const { url, ranges } = await fileServer({ cuts: [100_000, 100_000] });
  const first = await slotOf(url, folder);
  await get(first, { url, digest }).catch(() => {});
  writeFileSync(first.file, randomBytes(100_000));
  first.release();
  expect((await get(await slotOf(url, folder), { url, digest })).equals(content)).toBe(true);
  expect(ranges().slice(-2)).toEqual(['bytes=100000-', undefined]);
});

test('a full disk is told as such', async () => {
  const { url } = await fileServer({});
  const slot = { ...(await slotOf(url)), file: '/dev/full' };
  await expect(download(client(), slot, { url })).rejects.toMatchObject({
    code: 'io',
    cause: { code: 'ENOSPC' },
  });
});

test('a second download of a URL waits for the first one, and is told so', async () => {
  const folder = scratchFolder();
  const waiting = vi.fn();
  const first = await takeSlot(folder, 'http://h/x', waiting);
  expect([first.waited, waiting.mock.calls.length]).toEqual([false, 0]);
  const second = takeSlot(folder, 'http://h/x', () => {
    waiting();
    first.remove();
  });
  const { waited, remove } = await second;
  remove();
  expect([waited, waiting.mock.calls.length]).toEqual([true, 1]);
  expect(readdirSync(folder)).toEqual([]);
});

test('a slot that was given up is not touched any more', async () => {
  const folder = scratchFolder();
  const first = await takeSlot(folder, 'http://h/x', () => {});
  first.remove();
  const second = await takeSlot(folder, 'http://h/x', () => {});
  first.release();
  expect(readdirSync(folder)).toHaveLength(1);
  second.release();
  expect(readdirSync(folder)).toEqual([]);
});

test('downloads of two URLs do not wait for each other', async () => {
  const folder = scratchFolder();
  const one = await slotOf('http://h/1', folder);
  const two = await slotOf('http://h/2', folder);
  expect([one.waited, two.waited]).toEqual([false, false]);
});

test('of many that want one URL only one has it at a time', async () => {
  const folder = scratchFolder();
  let holders = 0;
  const most: number[] = [];
  await Promise.all(
    Array.from({ length: 8 }, async (_, n) => {
      const slot = await takeSlot(folder, 'http://h/x', () => {});
      most.push(++holders);
      await new Promise(setImmediate);
      holders--;
      if (n % 2) slot.remove();
      else slot.release();
    }),
  );
  expect(most).toEqual(Array(8).fill(1));
});

test.each([
  ['says that it is larger than the disk', 2 ** 43],
  ['never ends', undefined],
])('a file that %s is refused before the disk is full, and leaves nothing', async (_how, size) => {
  const folder = scratchFolder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'none', folder]);
  onTestFinished(() => void execFileSync('umount', [folder]));
  const part = Buffer.alloc(1 << 20);
  const origin = await serve((_, response) => {
    response.writeHead(200, { etag: '"1"', ...(size !== undefined && { 'content-length': size }) });
    const go = (): void => {
      while (!response.destroyed && response.write(part));
    };
    response.on('drain', go);
    go();
  });
  const slot = await slotOf(origin, folder);
  await expect(download(client(), slot, { url: origin })).rejects.toMatchObject({
    code: 'io',
    message: expect.stringMatching(
      /: no space left on the disk for its next \d+ bytes: \d+ are free$/,
    ),
  });
  expect(existsSync(slot.file)).toBe(false);
});
