import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { serve } from '../../unit/http/server.ts';
import { makeAci } from './aci.ts';
import { Site } from './site.ts';

const site = new Site();
const url = (path: string) => `https://example.test/${path}`;
const name = 'example.test/app';
const signer = 'Signer <signer@example.test>';
const config = () => `--local-config=${join(site.local.scratch, 'config')}`;

function gpg(...args: string[]): Buffer {
  const home = join(site.local.scratch, 'gnupg');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  return execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', '--yes', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Signs a file of the site as `FILE.asc`. */
function sign(path: string): void {
  const file = site.path('example.test', path);
  gpg('--armor', '--output', `${file}.asc`, '--detach-sign', file);
}

/** Puts a signed ACI on the site; gives its key. */
function signed(path: string, more: object = {}): string {
  const key = site.aci('example.test', path, { name, ...more });
  sign(path);
  return key;
}

const rkt = (...args: string[]) => site.rkt([config(), ...args]);
const fetch = (...args: string[]) => rkt('fetch', '--full', ...args);

beforeAll(() => {
  gpg('--passphrase', '', '--quick-gen-key', signer, 'ed25519', 'sign', 'never');
  const listed = gpg('--with-colons', '--list-keys').toString();
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1]?.toLowerCase() ?? '';
  const folder = join(site.local.scratch, 'config/trustedkeys/prefix.d/example.test');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, fingerprint), gpg('--armor', '--export'));
});

describe('a signed ACI', () => {
  test('is fetched, and the signer told', async () => {
    const key = signed('s.aci');
    const { code, stdout, stderr } = await fetch(url('s.aci'));
    expect([code, stdout]).toEqual([0, `${key}\n`]);
    expect(stderr).toContain(`${url('s.aci')} is signed by ${signer}`);
    expect(stderr).not.toContain('unverified');
  });

  test('is asked for after its signature', async () => {
    signed('order.aci');
    await site.asked();
    await fetch(url('order.aci'));
    expect(await site.lines()).toEqual([
      `GET ${url('order.aci.asc')} 200`,
      `GET ${url('order.aci')} 200`,
    ]);
  });

  test('that has not changed is not asked for its signature again', async () => {
    const key = signed('same.aci');
    await fetch(url('same.aci'));
    await site.asked();
    expect((await fetch(url('same.aci'))).stdout).toBe(`${key}\n`);
    expect(await site.lines()).toEqual([`GET ${url('same.aci')} 304`]);
  });

  test('that was taken unverified before is downloaded again and verified', async () => {
    const key = signed('fresh/later.aci');
    await site.fetch(url('fresh/later.aci'));
    await site.asked();
    expect((await fetch(url('fresh/later.aci'))).stdout).toBe(`${key}\n`);
    expect(await site.lines()).toEqual([
      `GET ${url('fresh/later.aci.asc')} 200`,
      `GET ${url('fresh/later.aci')} 200`,
    ]);
  });

  test('that was changed is refused; nothing of it is kept', async () => {
    signed('forged.aci');
    const key = site.aci('example.test', 'forged.aci', { name });
    const { code, stdout } = await fetch(url('forged.aci'));
    expect([code, stdout]).toEqual([254, '']);
    expect((await rkt('image', 'list', '--full')).stdout).not.toContain(key);
    expect(readdirSync(join(site.local.dir, 'cas/tmp'))).toEqual([]);
  });

  test('of a name that its signer has no say in is refused', async () => {
    signed('foreign.aci', { name: 'other.test/app' });
    expect(await fetch(url('foreign.aci'))).toMatchObject({
      code: 254,
      stdout: '',
      stderr: expect.stringContaining('no key is trusted for other.test/app'),
    });
  });

  test('may have its signature somewhere else', async () => {
    const key = signed('elsewhere.aci');
    const signature = join(site.local.scratch, 'elsewhere.sig');
    copyFileSync(site.path('example.test', 'elsewhere.aci.asc'), signature);
    await site.asked();
    expect((await fetch(url('elsewhere.aci'), '--signature', signature)).stdout).toBe(`${key}\n`);
    expect(await site.lines()).toEqual([`GET ${url('elsewhere.aci')} 200`]);
  });
});

test('an ACI without a signature is refused before it is asked for', async () => {
  site.aci('example.test', 'unsigned.aci', { name });
  await site.asked();
  expect(await fetch(url('unsigned.aci'))).toMatchObject({
    code: 254,
    stderr: expect.stringMatching(
      /no signature at .*unsigned\.aci\.asc .*--insecure-options=image/,
    ),
  });
  expect(await site.lines()).toEqual([`GET ${url('unsigned.aci.asc')} 404`]);
});

describe('a name', () => {
  /** An image `NAME` of `other.test` with page and signature; the page names its key. */
  function discovered(path: string): string {
    const key = site.aci('other.test', `${path}-1.aci`, {
      name: `other.test/${path}`,
      labels: { version: '1' },
    });
    const file = site.path('other.test', `${path}-1.aci`);
    gpg('--armor', '--output', `${file}.asc`, '--detach-sign', file);
    writeFileSync(site.path('other.test', 'keys.gpg'), gpg('--armor', '--export'));
    site.page(
      'other.test',
      path,
      ['ac-discovery', `other.test/${path} https://{name}-{version}.{ext}`],
      ['ac-discovery-pubkeys', `other.test/${path} https://other.test/keys.gpg`],
    );
    return key;
  }

  test('whose key nobody trusts is refused where nobody can be asked', async () => {
    discovered('asking');
    expect(await fetch('other.test/asking:1')).toMatchObject({
      code: 254,
      stdout: '',
      stderr: expect.stringContaining('--trust-keys-from-https'),
    });
  });

  test('is fetched with the keys of its page with --trust-keys-from-https, and stays trusted', async () => {
    const key = discovered('trusting');
    expect((await fetch('--trust-keys-from-https', 'other.test/trusting:1')).stdout).toBe(
      `${key}\n`,
    );
    await rkt('image', 'rm', key);
    expect((await fetch('other.test/trusting:1')).stdout).toBe(`${key}\n`);
  });
});

test('a name is taken from the next endpoint when one does not have the signature', async () => {
  const key = signed('second-1.aci', { name: 'example.test/second', labels: { version: '1' } });
  site.page(
    'example.test',
    'second',
    ['ac-discovery', 'example.test/second https://other.test/second-{version}.{ext}'],
    ['ac-discovery', 'example.test/second https://example.test/second-{version}.{ext}'],
  );
  expect((await fetch('example.test/second:1')).stdout).toBe(`${key}\n`);
});

describe('a local file', () => {
  /** A signed ACI in the scratch folder. */
  function local(file: string): string {
    const path = join(site.local.scratch, file);
    makeAci(path, { name });
    gpg('--armor', '--output', `${path}.asc`, '--detach-sign', path);
    return path;
  }

  test('is taken with the signature beside it', async () => {
    const { code, stderr } = await fetch(local('beside.aci'));
    expect([code, stderr]).toEqual([0, expect.stringContaining('is signed by Signer')]);
  });

  test('is taken with the signature that is named', async () => {
    const [path, other] = [local('named.aci'), local('other.aci')];
    expect((await fetch(path, `--signature=${other}.asc`)).code).toBe(254);
    expect((await fetch(path, `--signature=${path}.asc`)).code).toBe(0);
  });

  test('is verified also when it was imported before', async () => {
    const path = local('again.aci');
    expect((await fetch(path)).code).toBe(0);
    writeFileSync(`${path}.asc`, readFileSync(`${local('another.aci')}.asc`));
    expect((await fetch(path)).code).toBe(254);
  });

  test('without a signature is refused, naming where it was looked for', async () => {
    const path = join(site.local.scratch, 'bare.aci');
    makeAci(path, { name });
    expect(await fetch(path)).toMatchObject({
      code: 254,
      stderr: expect.stringContaining(`there is no signature ${path}.asc`),
    });
  });

  test('is imported with its signature', async () => {
    expect((await rkt('image', 'import', local('import.aci'))).code).toBe(0);
  });
});

describe('a signature that is not ready (202)', () => {
  /** A server whose signature is ready from the `ready`th time on; gives its URL and what was asked. */
  async function late(ready: number) {
    signed('late.aci');
    const file = site.path('example.test', 'late.aci');
    const asked: (string | undefined)[] = [];
    const origin = await serve((request, response) => {
      asked.push(request.url);
      const times = asked.filter((path) => path === '/late.aci.asc').length;
      if (request.url === '/late.aci') response.end(readFileSync(file));
      else if (times < ready) response.writeHead(202).end();
      else response.end(readFileSync(`${file}.asc`));
    });
    return { url: `${origin}/late.aci`, asked };
  }

  test('is asked for again after the image', async () => {
    const { url: address, asked } = await late(2);
    expect((await site.local.rkt([config(), 'fetch', address])).code).toBe(0);
    expect(asked).toEqual(['/late.aci.asc', '/late.aci', '/late.aci.asc']);
  });

  test('is an error the second time', async () => {
    const { url: address, asked } = await late(3);
    expect(await site.local.rkt([config(), 'fetch', address])).toMatchObject({
      code: 254,
      stderr: expect.stringContaining('is not ready yet (HTTP status 202)'),
    });
    expect(asked).toHaveLength(3);
  });
});
