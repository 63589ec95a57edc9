import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startGnupg } from '../../unit/trust/gnupg.ts';
import { Site } from '../fetch/site.ts';
import { onTerminal } from './terminal.ts';

const program = fileURLToPath(new URL('../../../dist/rkt', import.meta.url));
const site = new Site();
const gnupg = startGnupg();
const ann = gnupg.makeKey('ann');
const bob = gnupg.makeKey('bob');
const name = 'example.test/app';

let folders = 0;
function start() {
  const { local } = site;
  const config = join(local.scratch, `config-${folders++}`);
  const options = [`--local-config=${config}`, `--dir=${config}-data`];
  return {
    rkt: (...args: string[]) => site.rkt([...options, ...args]),
    typed(text: string, ...args: string[]) {
      const pid = readFileSync(join(local.scratch, 'nginx.pid'), 'utf8').trim();
      const enter = ['nsenter', '--target', pid, '--net', '--mount', '--'];
      const ca = join(local.scratch, 'pki/ca.pem');
      return onTerminal(local, [...enter, program, ...options, ...args], text, {
        NODE_EXTRA_CA_CERTS: ca,
      });
    },
    keys(prefix: string) {
      const folder = join(config, 'trustedkeys/prefix.d', prefix);
      return existsSync(folder) ? readdirSync(folder) : [];
    },
    mask(prefix: string, fingerprint: string) {
      const path = join(config, 'trustedkeys/prefix.d', prefix, fingerprint);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, '');
    },
  };
}

/** A page for the name with the keys of both, and a signed image. */
function publish(): string {
  const template = 'https://example.test/{name}-{version}.{ext}';
  const keyTag = (who: string) =>
    ['ac-discovery-pubkeys', `${name} https://example.test/${who}.asc`] as const;
  site.page(
    'example.test',
    'app',
    ['ac-discovery', `${name} ${template}`],
    keyTag('ann'),
    keyTag('bob'),
  );
  writeFileSync(site.path('example.test', 'ann.asc'), gnupg.exportKeys(ann));
  writeFileSync(site.path('example.test', 'bob.asc'), gnupg.exportKeys(bob));
  const path = 'example.test/app-latest.aci';
  const key = site.aci('example.test', path, { name });
  const image = site.path('example.test', path);
  writeFileSync(`${image}.asc`, gnupg.sign(readFileSync(image), bob));
  return key;
}

test('discovered keys are reviewed one after the other; no skips one', async () => {
  publish();
  const { typed, keys } = start();
  const { code, stdout } = await typed('no\nyes\n', 'trust', `--prefix=${name}`);
  expect(stdout).toContain('not trusting "https://example.test/ann.asc"');
  expect(stdout).toContain('Trusting "https://example.test/bob.asc"');
  expect([code, keys(name)]).toEqual([0, [bob]]);
});

test('a page cannot have a file of this machine taken for a key', async () => {
  const path = site.path('example.test', 'local.asc');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, gnupg.exportKeys(ann));
  site.page('example.test', 'local', ['ac-discovery-pubkeys', `example.test/local ${path}`]);
  const { rkt, keys } = start();
  const args = ['--prefix=example.test/local', '--skip-fingerprint-review'];
  const { code, stderr } = await rkt('trust', ...args);
  expect(stderr).toContain('it is no URL');
  expect([code, keys('example.test/local')]).toEqual([254, []]);
});

test('a prefix without keys says what was tried', async () => {
  const { code, stderr } = await start().rkt('trust', '--prefix=other.test/nothing');
  expect(code).toBe(254);
  expect(stderr).toMatch(
    /no keys discovered for prefix "other\.test\/nothing" \(https:\/\/other\.test/,
  );
});

test('a fetch by name asks for its keys, and goes on with what was accepted', async () => {
  const image = publish();
  const { typed, keys } = start();
  const { code, stdout } = await typed('no\nmaybe\nyes\n', 'fetch', '--full', name);
  expect(code).toBe(0);
  expect(stdout).toContain(image);
  expect(stdout).toContain('Please type "yes" or "no"');
  expect(keys(name)).toEqual([bob]);
});

test('a fetch whose keys were all declined fails', async () => {
  publish();
  const { typed, keys } = start();
  const { code, stdout } = await typed('no\nno\n', 'fetch', name);
  expect([code, keys(name)]).toEqual([254, []]);
  expect(stdout).toContain(`no key is trusted for ${name}`);
});

test('a masked key does not come back from the network', async () => {
  publish();
  const { rkt, mask, keys } = start();
  mask(name, bob);
  const { code, stderr } = await rkt('--trust-keys-from-https', 'fetch', name);
  expect(code).toBe(254);
  expect(stderr).toContain('masks');
  expect(keys(name)).toEqual([bob]);
});

test('keys over plain HTTP need both http and pubkey', async () => {
  publish();
  const template = 'http://example.test/{name}-{version}.{ext}';
  site.page(
    'example.test',
    'app',
    ['ac-discovery', `${name} ${template}`],
    ['ac-discovery-pubkeys', `${name} http://example.test/bob.asc`],
  );
  const { rkt, typed, keys } = start();
  const refused = await rkt('--insecure-options=http', '--trust-keys-from-https', 'fetch', name);
  expect(refused).toMatchObject({ code: 254, stderr: expect.stringContaining('plain HTTP') });
  // Nobody vouches for keys that came so, so the user is asked all the same.
  const asked = ['--insecure-options=http,pubkey', '--trust-keys-from-https', 'fetch', name];
  expect(await rkt(...asked)).toMatchObject({
    code: 254,
    stderr: expect.stringContaining('lack of tty'),
  });
  expect(await typed('yes\n', ...asked)).toMatchObject({ code: 0 });
  expect(keys(name)).toEqual([bob]);
});

test('the key that is stored is the one that gpg has', async () => {
  publish();
  const { rkt } = start();
  await rkt('trust', `--prefix=${name}`, '--skip-fingerprint-review');
  const { stdout } = await rkt('trust', 'list', '--format=json');
  for (const { location, fingerprint } of JSON.parse(stdout))
    expect(
      execFileSync('gpg', ['--with-colons', '--show-keys', location], { stdio: 'pipe' })
        .toString()
        .toLowerCase(),
    ).toContain(fingerprint);
});
