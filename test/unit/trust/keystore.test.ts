import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cosignKeysFor, keyringFor, writeKeyFile } from '../../../src/trust/keystore.ts';
import { listKeys, removeKey } from '../../../src/trust/list.ts';
import { CosignKeyPair } from './cosign-maker.ts';
import { startGnupg } from './gnupg.ts';
import { TrustScratch } from './scratch.ts';

const a = 'a'.repeat(40);
const name = 'example.com/foo/bar';

function trusted({ roots }: TrustScratch, image: string | undefined = name): string[] {
  return [...keyringFor(roots, image).trusted.values()].map(({ bytes }) => bytes.toString());
}

test('a folder that does not exist has no keys', () => {
  expect(trusted(new TrustScratch())).toEqual([]);
});

test.each([
  ['example.com/foo/bar', true],
  ['example.com/foo', true],
  ['example.com', true],
  ['example.com/fo', false],
  ['example.com/foo/ba', false],
  ['example.com/foo/bar/baz', false],
  ['ample.com', false],
])(`the prefix %s for ${name}: %s`, (prefix, applies) => {
  const scratch = new TrustScratch();
  scratch.key('local', prefix, a, 'key');
  expect(trusted(scratch)).toEqual(applies ? ['key'] : []);
});

test('a key of root.d is for every image', () => {
  const scratch = new TrustScratch();
  scratch.key('sys', undefined, a, 'key');
  expect(trusted(scratch)).toEqual(['key']);
});

test('a name that climbs out of the keyring has no prefixes', () => {
  const scratch = new TrustScratch();
  scratch.file(`local/trustedkeys/${a}`, 'key');
  expect(trusted(scratch, '..')).toEqual([]);
  expect(trusted(scratch, 'example.com/../..')).toEqual([]);
});

test.each([
  [
    'LOCAL root over SYS root',
    [
      ['sys', undefined, 'key'],
      ['local', undefined, ''],
    ],
    [],
  ],
  [
    'SYS prefix over LOCAL root',
    [
      ['local', undefined, ''],
      ['sys', 'example.com', 'key'],
    ],
    ['key'],
  ],
  [
    'LOCAL prefix over SYS prefix',
    [
      ['sys', 'example.com', 'key'],
      ['local', 'example.com', ''],
    ],
    [],
  ],
  [
    'LOCAL root not over LOCAL prefix',
    [
      ['local', undefined, ''],
      ['local', name, 'key'],
    ],
    ['key'],
  ],
  [
    'a mask of a longer prefix',
    [
      ['local', 'example.com', 'key'],
      ['local', name, ''],
    ],
    [],
  ],
  [
    'a key over a key',
    [
      ['sys', undefined, 'old'],
      ['local', undefined, 'new'],
    ],
    ['new'],
  ],
] as const)('an empty file masks what is loaded before it: %s', (_, files, expected) => {
  const scratch = new TrustScratch();
  for (const [root, prefix, content] of files) scratch.key(root, prefix, a, content);
  expect(trusted(scratch)).toEqual(expected);
});

test('what a killed command left half written is no key', () => {
  const scratch = new TrustScratch();
  scratch.key('local', undefined, `${a}.123.tmp`, 'half');
  expect(trusted(scratch)).toEqual([]);
});

test('files are 0644 and folders 0755 whatever the umask', () => {
  const { folder } = new TrustScratch();
  const umask = process.umask(0o077);
  try {
    writeKeyFile(join(folder, 'etc/trustedkeys/prefix.d/example.com', a), 'key');
  } finally {
    process.umask(umask);
  }
  const modeOf = (path: string) => (statSync(join(folder, path)).mode & 0o777).toString(8);
  expect(
    ['etc', 'etc/trustedkeys/prefix.d', 'etc/trustedkeys/prefix.d/example.com'].map(modeOf),
  ).toEqual(['755', '755', '755']);
  expect(modeOf(`etc/trustedkeys/prefix.d/example.com/${a}`)).toBe('644');
  expect(readdirSync(join(folder, 'etc/trustedkeys/prefix.d/example.com'))).toEqual([a]);
});

test('a failed write names the file', () => {
  const scratch = new TrustScratch();
  scratch.file('local', 'not a folder');
  expect(() => writeKeyFile(join(scratch.roots.local, 'x', a), 'key')).toThrow(
    expect.objectContaining({ code: 'io', message: expect.stringContaining(a) }),
  );
});

test('cosign keys follow the prefixes, also of a registry with a port, and an empty one masks', () => {
  const scratch = new TrustScratch();
  scratch.key('sys', 'localhost:5000/team', 'cosign.pub', 'team');
  scratch.key('sys', undefined, 'cosign.pub', 'all');
  const keys = () =>
    cosignKeysFor(scratch.roots, 'localhost:5000/team/app').map(({ bytes }) => bytes.toString());
  expect(keys()).toEqual(['all', 'team']);
  scratch.key('local', undefined, 'cosign.pub', '');
  expect(keys()).toEqual(['team']);
  expect(cosignKeysFor(scratch.roots, 'localhost:5000/teams/app')).toEqual([]);
});

test('cosign.pub is no OpenPGP key', () => {
  const scratch = new TrustScratch();
  scratch.key('local', undefined, 'cosign.pub', 'PEM');
  expect(trusted(scratch)).toEqual([]);
});

const gnupg = startGnupg();
const ann = gnupg.makeKey('ann');
const annKey = gnupg.exportKeys(ann);

test('the list has keys of both roots, tells masked ones, and reports what is no key', async () => {
  const scratch = new TrustScratch();
  scratch.key('sys', undefined, ann, annKey);
  scratch.key('sys', 'example.com', ann, annKey);
  scratch.key('local', undefined, ann, '');
  scratch.key('local', 'example.com', a, annKey);
  const broken: string[] = [];
  const keys = await listKeys(scratch.roots, ({ code }) => broken.push(code));
  expect(keys).toEqual([
    expect.objectContaining({ prefix: undefined, masked: true, fingerprint: ann }),
    expect.objectContaining({
      prefix: 'example.com',
      masked: false,
      identities: ['ann <ann@example.com>'],
    }),
  ]);
  expect(broken).toEqual(['fingerprint-mismatch']);
});

test('the list has cosign keys, with a fingerprint as openssl gives it', async () => {
  const scratch = new TrustScratch();
  const { pem } = new CosignKeyPair();
  const path = scratch.key('sys', 'localhost:5000/team', 'cosign.pub', pem);
  scratch.key('sys', undefined, 'cosign.pub', pem);
  scratch.key('local', undefined, 'cosign.pub', '');
  const der = execFileSync('openssl', ['pkey', '-pubin', '-in', path, '-outform', 'DER']);
  const fingerprint = `sha256:${createHash('sha256').update(der).digest('hex')}`;
  expect(await listKeys(scratch.roots, () => {})).toEqual([
    expect.objectContaining({ prefix: undefined, fingerprint, masked: true }),
    { prefix: 'localhost:5000/team', fingerprint, identities: [], location: path, masked: false },
  ]);
});

test("removing a key deletes the administrator's file and masks the vendor's", () => {
  const scratch = new TrustScratch();
  const own = scratch.key('local', 'example.com', ann, annKey);
  scratch.key('sys', undefined, ann, annKey);
  const spaced = ann.toUpperCase().replace(/.{4}/g, '$& ');
  expect(removeKey(scratch.roots, spaced, 'everywhere')).toEqual([
    {
      prefix: undefined,
      path: join(scratch.roots.local, 'trustedkeys/root.d', ann),
      how: 'masked',
    },
    { prefix: 'example.com', path: own, how: 'removed' },
  ]);
  expect(trusted(scratch, 'example.com')).toEqual([]);
  expect(readFileSync(join(scratch.roots.system, 'trustedkeys/root.d', ann), 'utf8')).toBe(annKey);
  expect(() => removeKey(scratch.roots, ann, 'everywhere')).toThrow(/no trusted key/);
});

test("removing a key that both have does not bring the vendor's back", () => {
  const scratch = new TrustScratch();
  scratch.key('local', undefined, ann, annKey);
  scratch.key('sys', undefined, ann, annKey);
  removeKey(scratch.roots, ann, { prefix: undefined });
  expect(trusted(scratch)).toEqual([]);
});

test('removing from one prefix leaves the others', () => {
  const scratch = new TrustScratch();
  scratch.key('local', 'example.com', ann, annKey);
  scratch.key('local', 'example.org', ann, annKey);
  removeKey(scratch.roots, ann, { prefix: 'example.com' });
  expect(trusted(scratch, 'example.com')).toEqual([]);
  expect(trusted(scratch, 'example.org')).toEqual([annKey]);
});

test('a part of a fingerprint removes nothing', () => {
  const scratch = new TrustScratch();
  scratch.key('local', 'example.com', ann, annKey);
  expect(() => removeKey(scratch.roots, ann.slice(0, 16), 'everywhere')).toThrow(/40 hex digits/);
  expect(trusted(scratch)).toEqual([annKey]);
});
