import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Site } from './site.ts';

const site = new Site();
const url = (path: string) => `https://example.test/${path}`;
const name = 'example.test/app';

describe('an ACI at a URL', () => {
  test('is stored, and its key printed alone on stdout', async () => {
    const key = site.aci('example.test', 'a.aci', { name });
    const { code, stdout, stderr } = await site.insecure('fetch', url('a.aci'));
    expect([code, stdout]).toEqual([0, `${key.slice(0, 39)}\n`]);
    expect(stderr).toMatch(/downloading https:\/\/example\.test\/a\.aci \(\d+B\)\n/);
    const list = await site.insecure('image', 'list', '--full', '--no-legend', '--fields=id,name');
    expect(list.stdout).toContain(`${key}\t${name}`);
  });

  test('has its full key printed with --full, keys in the order of the images', async () => {
    const [b, c] = ['b', 'c'].map((x) => site.aci('example.test', `${x}.aci`, { name }));
    expect(await site.fetch(url('c.aci'), url('b.aci'))).toEqual([c, b]);
  });

  test('is fetched without a word on stderr with --quiet, but for warnings', async () => {
    site.aci('example.test', 'quiet.aci', { name });
    const { stderr } = await site.insecure('fetch', '--quiet', url('quiet.aci'));
    expect(stderr).toBe(
      `rkt: fetch: image ${url('quiet.aci')} is taken unverified (--insecure-options=image)\n`,
    );
  });

  test('is not even asked for while nobody can verify it', async () => {
    await site.asked();
    const { code, stdout, stderr } = await site.rkt(['fetch', url('unasked.aci')]);
    expect([code, stdout]).toEqual([254, '']);
    expect(stderr).toMatch(/not verified.*--insecure-options=image|signature/);
    expect((await site.lines()).filter((line) => line.includes('unasked.aci 200'))).toEqual([]);
  });

  test('that is missing is an error with the status; nothing is left of it', async () => {
    const { code, stderr } = await site.insecure('fetch', url('missing.aci'));
    expect([code, stderr]).toEqual([
      254,
      `rkt: fetch: cannot get ${url('missing.aci')}: bad HTTP status code: 404\n`,
    ]);
  });

  test('that is a web page is an error that names the URL; nothing is left of it', async () => {
    site.page('example.test', 'page.aci');
    const { code, stderr } = await site.insecure('fetch', url('page.aci'));
    expect(code).toBe(254);
    expect(stderr).toContain(`import ${url('page.aci')}: it is a web page (HTML), not an ACI`);
    expect(
      readdirSync(join(site.local.dir, 'cas/tmp')).filter((left) => !/^download-/.test(left)),
    ).toEqual([]);
  });

  test('over plain HTTP is taken as the user wrote it', async () => {
    const key = site.aci('example.test', 'plain.aci', { name });
    expect(await site.fetch('http://example.test/plain.aci')).toEqual([key]);
  });

  test('may be somewhere else by now', async () => {
    const key = site.aci('other.test', 'there.aci', { name });
    expect(await site.fetch(url('moved/there.aci'))).toEqual([key]);
  });

  test('of an untrusted server is refused; --insecure-options=tls takes it', async () => {
    const key = site.aci('example.test', 'tls.aci', { name });
    const env = { NODE_EXTRA_CA_CERTS: '' };
    const refused = await site.rkt(['--insecure-options=image', 'fetch', url('tls.aci')], { env });
    expect([refused.code, refused.stderr]).toEqual([254, expect.stringContaining('TLS failed')]);
    const args = ['--insecure-options=image,tls', 'fetch', '--full', url('tls.aci')];
    expect(await site.rkt(args, { env })).toMatchObject({ code: 0, stdout: `${key}\n` });
  });

  test('that is private is had with the credentials of the configuration', async () => {
    const key = site.aci('example.test', 'private/p.aci', { name });
    const folder = join(site.local.scratch, 'config/auth.d');
    mkdirSync(folder, { recursive: true });
    const entry = {
      rktKind: 'auth',
      rktVersion: 'v1',
      domains: ['example.test'],
      type: 'basic',
      credentials: { user: 'me', password: 'secret' },
    };
    writeFileSync(join(folder, 'example.json'), JSON.stringify(entry));
    const config = `--local-config=${join(site.local.scratch, 'config')}`;
    expect((await site.insecure('fetch', url('private/p.aci'))).stderr).toContain('401');
    await site.asked();
    expect(await site.fetch(config, url('private/p.aci'))).toEqual([key]);
    site.aci('other.test', 'away.aci', { name });
    await site.fetch(config, url('moved/away.aci'));
    expect(
      (await site.asked()).map(({ line, authorization }) => [line, authorization !== '']),
    ).toEqual([
      [`GET ${url('private/p.aci')} 200`, true],
      [`GET ${url('moved/away.aci')} 302`, true],
      ['GET https://other.test/away.aci 200', false],
    ]);
  });
});

describe('an ACI that was fetched before', () => {
  test('is not asked for while its max-age lasts', async () => {
    const key = site.aci('example.test', 'fresh/f.aci', { name });
    await site.fetch(url('fresh/f.aci'));
    await site.asked();
    expect(await site.fetch(url('fresh/f.aci'))).toEqual([key]);
    expect(await site.asked()).toEqual([]);
  });

  test('is asked for by its ETag where it has no max-age; 304 keeps it', async () => {
    const key = site.aci('example.test', 'etag.aci', { name });
    await site.fetch(url('etag.aci'));
    await site.asked();
    expect(await site.fetch(url('etag.aci'))).toEqual([key]);
    expect((await site.asked())[0]).toMatchObject({
      line: `GET ${url('etag.aci')} 304`,
      ifNoneMatch: expect.stringMatching(/^"/),
    });
  });

  test('that changed there comes as a new image', async () => {
    const before = site.aci('example.test', 'changed.aci', { name });
    expect(await site.fetch(url('changed.aci'))).toEqual([before]);
    const after = site.aci('example.test', 'changed.aci', { name });
    utimesSync(site.path('example.test', 'changed.aci'), 1, 1);
    expect(await site.fetch(url('changed.aci'))).toEqual([after]);
    expect(await site.fetch(url('changed.aci'))).toEqual([after]);
  });

  test.each(['new', 'never'])('is not asked for with --pull-policy=%s', async (policy) => {
    const key = site.aci('example.test', `${policy}.aci`, { name });
    await site.fetch(url(`${policy}.aci`));
    await site.asked();
    expect(await site.fetch(`--pull-policy=${policy}`, url(`${policy}.aci`))).toEqual([key]);
    expect(await site.asked()).toEqual([]);
  });

  test('is downloaded again after it was removed', async () => {
    const key = site.aci('example.test', 'fresh/removed.aci', { name });
    await site.fetch(url('fresh/removed.aci'));
    await site.rkt(['image', 'rm', key]);
    expect(await site.fetch(url('fresh/removed.aci'))).toEqual([key]);
  });
});

test('with --pull-policy=never an ACI that is not stored is an error, without a request', async () => {
  site.aci('example.test', 'absent.aci', { name });
  await site.asked();
  const { code, stderr } = await site.insecure('fetch', '--pull-policy=never', url('absent.aci'));
  expect([code, stderr]).toEqual([254, expect.stringContaining('not in the store')]);
  expect(await site.asked()).toEqual([]);
});

describe('a download', () => {
  test('that was killed goes on where it was', async () => {
    const key = site.aci('example.test', 'slow/killed.aci', { name, size: 600_000 });
    const running = site.start(['--insecure-options=image', 'fetch', url('slow/killed.aci')]);
    await running.printed(/downloading/, 'stderr');
    await expect.poll(() => site.partialBytes()).toBeGreaterThan(0);
    await running.kill('SIGKILL');
    await running.done;
    await site.asked();
    expect(await site.fetch(url('slow/killed.aci'))).toEqual([key]);
    expect((await site.asked()).filter(({ range }) => range !== '')).toMatchObject([
      {
        line: `GET ${url('slow/killed.aci')} 206`,
        range: expect.stringMatching(/^bytes=[1-9]\d*-$/),
      },
    ]);
  });

  test('that another process has begun is waited for; there is one', async () => {
    const key = site.aci('example.test', 'slow/both.aci', { name, size: 400_000 });
    await site.asked();
    const fetching = () =>
      site.start(['--insecure-options=image', 'fetch', '--full', url('slow/both.aci')]);
    const first = fetching();
    await first.printed(/downloading/, 'stderr');
    const second = fetching();
    await second.printed(/another process downloads .*, waiting for it/, 'stderr');
    for (const { done } of [first, second]) expect((await done).stdout).toBe(`${key}\n`);
    expect(await site.lines()).toEqual([`GET ${url('slow/both.aci')} 200`]);
  });
});
