import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startLocal } from '../../lib/local.ts';
import { makePki, serve } from '../../unit/http/server.ts';
import { startGnupg } from '../../unit/trust/gnupg.ts';
import { onTerminal } from './terminal.ts';

const program = fileURLToPath(new URL('../../../dist/rkt', import.meta.url));
const local = startLocal();
const gnupg = startGnupg();
const ann = gnupg.makeKey('ann');
const bob = gnupg.makeKey('bob', 'rsa2048');
const prefix = 'example.com/app';
const question = /Are you sure you want to trust this key \(yes\/no\)\?/;

let folders = 0;
/** A configuration of its own, and the trust command with it. */
function start() {
  const config = join(local.scratch, `config-${folders++}`);
  const folder = join(config, 'trustedkeys');
  return {
    config: `--local-config=${config}`,
    rkt: (...args: string[]) => local.rkt([`--local-config=${config}`, ...args]),
    typed: (text: string, ...args: string[]) =>
      onTerminal(local, [program, `--local-config=${config}`, ...args], text),
    keys: (where: string) =>
      existsSync(join(folder, where)) ? readdirSync(join(folder, where)) : [],
    path: (where: string) => join(folder, where),
  };
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(local.scratch, name);
  writeFileSync(path, content);
  return path;
}

const annFile = file('ann.asc', gnupg.exportKeys(ann));

test('only yes is yes: y is asked again, and the key is stored by its fingerprint', async () => {
  const { typed, keys, path } = start();
  const { code, stdout } = await typed('y\nyes\n', 'trust', `--prefix=${prefix}`, annFile);
  const shown = stdout.replaceAll('\r', '');
  const stored = path(`prefix.d/${prefix}/${ann}`);
  expect(code).toBe(0);
  expect(shown).toMatch(question);
  expect(shown).toContain('Please type "yes" or "no"');
  expect(shown).toContain(`Trusting "${annFile}" for prefix "${prefix}" after fingerprint review.`);
  expect(shown).toContain(`Added key for prefix "${prefix}" at "${stored}"`);
  expect(keys(`prefix.d/${prefix}`)).toEqual([ann]);
  const listed = gnupg.gpg(['--with-colons', '--show-keys', stored]).toString();
  expect(listed.toLowerCase()).toContain(ann);
});

test('the review shows prefix, location, fingerprint in groups, and identities', async () => {
  const { typed } = start();
  const { stdout } = await typed('no\n', 'trust', `--prefix=${prefix}`, annFile);
  const groups = ann.toUpperCase().match(/.{4}/g) ?? [];
  const fingerprint = `${groups.slice(0, 5).join(' ')}  ${groups.slice(5).join(' ')}`;
  expect(stdout.replaceAll('\r', '')).toContain(
    [
      `prefix: "${prefix}"`,
      `key: "${annFile}"`,
      `gpg key fingerprint is: ${fingerprint}`,
      '\tann <ann@example.com>',
    ].join('\n'),
  );
});

test('no trusts nothing and is no failure', async () => {
  const { typed, keys } = start();
  const { code, stdout } = await typed('no\n', 'trust', `--prefix=${prefix}`, annFile);
  expect(stdout).toContain(`not trusting "${annFile}"`);
  expect([code, keys(`prefix.d/${prefix}`)]).toEqual([0, []]);
});

test('the end of the input trusts nothing', async () => {
  const { typed, keys } = start();
  const { code, stdout } = await typed('', 'trust', `--prefix=${prefix}`, annFile);
  expect(stdout).toContain('no answer on the terminal');
  expect([code, keys(`prefix.d/${prefix}`)]).toEqual([254, []]);
});

test('without a terminal nobody is asked, and yes on a pipe does not count', async () => {
  const { config, keys } = start();
  const args = [config, 'trust', `--prefix=${prefix}`, annFile];
  const { code, stderr } = await local.rkt(args, { input: 'yes\n' });
  expect(stderr).toMatch(/due to lack of tty.*--skip-fingerprint-review/);
  expect([code, keys(`prefix.d/${prefix}`)]).toEqual([254, []]);
});

test('--skip-fingerprint-review trusts without asking; results are on stdout', async () => {
  const { rkt, path } = start();
  const { code, stdout, stderr } = await rkt(
    'trust',
    '--root',
    '--skip-fingerprint-review',
    annFile,
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(/^gpg key fingerprint is: /);
  expect(stdout).toContain(`Added root key at "${path(`root.d/${ann}`)}"\n`);
  expect(stderr).toContain('without fingerprint review.');
});

test.each([
  ['neither prefix nor root', [annFile], 'aborting due to implicit unbounded trust'],
  ['both', ['--root', '--prefix=a', annFile], '--root and --prefix usage mutually exclusive'],
  ['root without a key', ['--root'], '--root needs key files'],
  ['a prefix with a scheme', ['--prefix=https://a.test', annFile], 'must not have a URL scheme'],
  ['a prefix that is no name', ['--prefix=a/../b', annFile], 'bad prefix'],
  ['a prefix with a star', ['--prefix=a.test/*', annFile], 'bad prefix'],
  ['no keystore', ['--insecure-options=image', '--root', annFile], 'could not get the keystore'],
])('%s is refused', async (_, args, why) => {
  const { code, stderr } = await start().rkt('trust', ...args);
  expect(code).toBe(254);
  expect(stderr).toContain(why);
});

test.each([
  ['armored, one block each', () => gnupg.exportKeys(ann) + gnupg.exportKeys(bob)],
  ['armored, in one block', () => gnupg.exportKeys(ann, bob)],
  ['binary', () => gnupg.exportBinary(ann, bob)],
])('a file with two keys shows both and stores each by itself: %s', async (name, make) => {
  const { typed, keys } = start();
  const both = file(`both ${name}`, make());
  const { code, stdout } = await typed('yes\n', 'trust', `--prefix=${prefix}`, both);
  expect(code).toBe(0);
  expect(stdout).toContain('trust these 2 keys (yes/no)?');
  expect(stdout.match(/gpg key fingerprint is/g)).toHaveLength(2);
  expect(keys(`prefix.d/${prefix}`)).toEqual([ann, bob].sort());
});

test('a bad key does not keep the others, but the command fails', async () => {
  const { rkt, keys } = start();
  const secret = file('secret.asc', gnupg.gpg(['--armor', '--export-secret-keys', ann]));
  const huge = file('huge.asc', '');
  truncateSync(huge, 1 << 30);
  const page = file('page.html', '<html>not found</html>');
  const bad = [secret, huge, page, '/nonexistent.asc'];
  const args = ['trust', '--root', '--skip-fingerprint-review', ...bad, annFile];
  const { code, stderr } = await rkt(...args);
  expect(code).toBe(254);
  expect(stderr).toContain(`cannot read key ${secret}: it holds a private key`);
  expect(stderr).toContain(`cannot read key ${huge}: it has more than 4194304 bytes`);
  expect(stderr).toContain(`cannot read key ${page}: it holds no OpenPGP public key`);
  expect(stderr).toContain('cannot read key /nonexistent.asc: ENOENT');
  expect(keys('root.d')).toEqual([ann]);
});

test('a key comes by https; by http only with --insecure-allow-http', async () => {
  const pki = makePki(join(local.scratch, 'pki'));
  const armored = readFileSync(annFile);
  const https = await serve((_, answer) => answer.end(armored), pki);
  const http = await serve((_, answer) => answer.end(armored));
  const { config, keys } = start();
  const trust = (...args: string[]) =>
    local.rkt([config, 'trust', '--root', '--skip-fingerprint-review', ...args], {
      env: { NODE_EXTRA_CA_CERTS: pki.ca },
    });
  const refused = await trust(`${http}/k.asc`);
  expect(refused).toMatchObject({ code: 254, stderr: expect.stringContaining('plain HTTP') });
  expect(keys('root.d')).toEqual([]);
  expect(await trust(`${https}/k.asc`)).toMatchObject({ code: 0 });
  expect(keys('root.d')).toEqual([ann]);
  expect(await trust('--insecure-allow-http', `${http}/k.asc`)).toMatchObject({ code: 0 });
});

test('a key by https that is redirected to http is refused', async () => {
  const pki = makePki(join(local.scratch, 'pki-redirect'));
  const http = await serve((_, answer) => answer.end(readFileSync(annFile)));
  const https = await serve((_, answer) => answer.writeHead(302, { location: http }).end(), pki);
  const { config, keys } = start();
  const { code } = await local.rkt(
    [config, '--insecure-options=http', 'trust', '--root', '--skip-fingerprint-review', https],
    { env: { NODE_EXTRA_CA_CERTS: pki.ca } },
  );
  expect([code, keys('root.d')]).toEqual([254, []]);
});

test('trust list shows what trust rm then takes away', async () => {
  const { rkt, path } = start();
  await rkt('trust', `--prefix=${prefix}`, '--skip-fingerprint-review', annFile);
  await rkt('trust', '--root', '--skip-fingerprint-review', annFile);
  const location = path(`prefix.d/${prefix}/${ann}`);
  const listed = await rkt('trust', 'list');
  expect(listed.stdout.split('\n').map((line) => line.split(/\t+/))).toEqual([
    ['PREFIX', 'FINGERPRINT', 'IDENTITY', 'LOCATION'],
    ['(root)', ann, 'ann <ann@example.com>', path(`root.d/${ann}`)],
    [prefix, ann, 'ann <ann@example.com>', location],
    [''],
  ]);
  const json = await rkt('trust', 'list', '--format=json');
  expect(JSON.parse(json.stdout)[1]).toEqual({
    prefix,
    fingerprint: ann,
    identities: ['ann <ann@example.com>'],
    location,
    masked: false,
  });
  expect((await rkt('trust', 'rm', '--root', ann)).stdout).toBe(
    `Removed root key at "${path(`root.d/${ann}`)}"\n`,
  );
  expect(await rkt('trust', 'rm', '--root', ann)).toMatchObject({
    code: 254,
    stderr: expect.stringContaining('no trusted key'),
  });
  expect(await rkt('trust', 'rm', ann)).toMatchObject({ code: 0 });
  expect((await rkt('trust', 'list', '--no-legend')).stdout).toBe('');
});

test('trust list reports a file that is no such key, lists the rest, and fails', async () => {
  const { rkt, path } = start();
  await rkt('trust', '--root', '--skip-fingerprint-review', annFile);
  writeFileSync(path(`root.d/${bob}`), readFileSync(annFile));
  const { code, stdout, stderr } = await rkt('trust', 'list', '--no-legend');
  expect(code).toBe(254);
  expect(stdout).toContain(ann);
  expect(stderr).toContain('fingerprint mismatch');
});

test('an image that rkt image sign signed is one that gpg verifies, and rkt accepts', async () => {
  const { config, rkt } = start();
  const image = file('signed.aci', 'an image');
  const env = { GNUPGHOME: gnupg.home };
  const signed = await local.rkt([config, 'image', 'sign', '--key', bob, image], { env });
  expect(signed).toMatchObject({ code: 0, stdout: `${image}.asc\n` });
  const status = execFileSync('gpg', ['--status-fd=1', '--verify', `${image}.asc`, image], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(status.toString().toLowerCase()).toContain(`validsig ${bob}`);
  const before = readFileSync(`${image}.asc`, 'utf8');
  expect(before).toMatch(/^-----BEGIN PGP SIGNATURE-----/);
  expect(await rkt('image', 'sign', image)).toMatchObject({
    code: 254,
    stderr: expect.stringContaining(`cannot write ${image}.asc: it exists already`),
  });
  expect(readFileSync(`${image}.asc`, 'utf8')).toBe(before);
});

test('a key that gpg does not have makes no signature and leaves nothing behind', async () => {
  const image = file('unsigned.aci', 'an image');
  const { config } = start();
  const args = [config, 'image', 'sign', '--key=nobody', '--output', `${image}.sig`, image];
  const { code, stderr } = await local.rkt(args, { env: { GNUPGHOME: gnupg.home } });
  expect(code).toBe(254);
  expect(stderr).toContain('gpg made no signature (exit status 2)');
  expect(readdirSync(local.scratch).filter((name) => name.startsWith('unsigned'))).toEqual([
    'unsigned.aci',
  ]);
});
