import { truncateSync } from 'node:fs';
import { expect, test } from 'vitest';
import { aciVerifier } from '../../../src/trust/verify.ts';
import { startGnupg } from './gnupg.ts';
import { TrustScratch } from './scratch.ts';

const gnupg = startGnupg();
const ann = gnupg.makeKey('ann');
const bob = gnupg.makeKey('bob');
const annKey = gnupg.exportKeys(ann);
const image = Buffer.alloc(300_000, 'an image ');
const annSignature = gnupg.sign(image, ann);
const name = 'example.com/app';

/** Verifies the image, with the files that `prepare` adds to the keyring. */
async function verify(
  signature: string | Uint8Array,
  prepare: (scratch: TrustScratch) => void,
  { bytes = image, asked = name }: { bytes?: Uint8Array; asked?: string } = {},
) {
  const scratch = new TrustScratch();
  prepare(scratch);
  const file = scratch.file('app.aci', bytes);
  const verifier = aciVerifier({
    roots: scratch.roots,
    manifestName: () => Promise.reject(new Error('the manifest was asked')),
  });
  return verifier({ file, signature: scratch.file('app.aci.asc', signature), name: asked });
}

const trustAnn = (scratch: TrustScratch) => scratch.key('local', name, ann, annKey);

test('an armored ed25519 signature by a key of the prefix names the signer', async () => {
  expect(await verify(annSignature, trustAnn)).toEqual({
    signers: [`ann <ann@example.com> (${ann})`],
    name,
  });
});

test('a binary signature is as good', async () => {
  expect((await verify(gnupg.sign(image, ann, []), trustAnn)).signers).toHaveLength(1);
});

test.each([
  ['armored', ['--armor']],
  ['binary', []],
])('an RSA 4096 signature is good, %s', async (_, options) => {
  const key = gnupg.makeKey(`rsa${options.length}`, 'rsa4096');
  const signature = gnupg.sign(image, key, options);
  const trust = (scratch: TrustScratch) =>
    scratch.key('local', undefined, key, gnupg.exportKeys(key));
  expect((await verify(signature, trust)).signers).toEqual([expect.stringContaining(key)]);
});

test('a signature by a signing subkey counts as the key it belongs to', async () => {
  const key = gnupg.makeKey('sub');
  gnupg.addSigningSubkey(key);
  const signature = gnupg.sign(image, key);
  const trust = (scratch: TrustScratch) => scratch.key('local', name, key, gnupg.exportKeys(key));
  expect((await verify(signature, trust)).signers).toEqual([expect.stringContaining(key)]);
});

test('one good signature is enough beside one of a stranger', async () => {
  const both = Buffer.concat([gnupg.sign(image, bob), annSignature]);
  expect((await verify(both, trustAnn)).signers).toEqual([expect.stringContaining(ann)]);
});

test('without a name the one in the manifest selects the keys', async () => {
  const scratch = new TrustScratch();
  trustAnn(scratch);
  const verifier = aciVerifier({
    roots: scratch.roots,
    manifestName: async () => 'example.com/app/worker',
  });
  const verified = await verifier({
    file: scratch.file('app.aci', image),
    signature: scratch.file('app.aci.asc', annSignature),
    name: undefined,
  });
  expect(verified.name).toBe('example.com/app/worker');
});

test('a signature by a stranger names the key and where the signature was', async () => {
  const keyId = bob.slice(-16).toUpperCase();
  await expect(verify(gnupg.sign(image, bob), trustAnn)).rejects.toMatchObject({
    code: 'unknown-signer',
    message: expect.stringMatching(new RegExp(`app\\.aci\\.asc is made by unknown key ${keyId}`)),
  });
});

test('without keys for the name the error says how to add one', async () => {
  const trust = (scratch: TrustScratch) => scratch.key('local', 'example.com/other', ann, annKey);
  await expect(verify(annSignature, trust)).rejects.toMatchObject({
    code: 'no-keys',
    message: expect.stringContaining('rkt trust --prefix=example.com/app'),
  });
});

test('a masked key is named with its mask', async () => {
  const trust = (scratch: TrustScratch) => {
    scratch.key('sys', undefined, ann, annKey);
    scratch.key('local', undefined, ann, '');
  };
  await expect(verify(annSignature, trust)).rejects.toMatchObject({
    code: 'masked-key',
    message: expect.stringMatching(new RegExp(`${ann}, which .*/local/.*/root\\.d/${ann} masks`)),
  });
});

test('a subkey of a masked key is masked as well', async () => {
  const key = gnupg.makeKey('masked');
  gnupg.addSigningSubkey(key);
  const trust = (scratch: TrustScratch) => {
    scratch.key('sys', name, key, gnupg.exportKeys(key));
    scratch.key('local', name, key, '');
  };
  await expect(verify(gnupg.sign(image, key), trust)).rejects.toMatchObject({ code: 'masked-key' });
});

test('a file not named by the fingerprint of its key is a fingerprint mismatch', async () => {
  const trust = (scratch: TrustScratch) => scratch.key('local', name, bob, annKey);
  await expect(verify(annSignature, trust)).rejects.toMatchObject({
    code: 'fingerprint-mismatch',
    message: expect.stringContaining('fingerprint mismatch'),
  });
});

test('the second key of a file is not trusted by the name of the first', async () => {
  const trust = (scratch: TrustScratch) =>
    scratch.key('local', name, bob, gnupg.exportKeys(bob) + annKey);
  await expect(verify(annSignature, trust)).rejects.toMatchObject({ code: 'unknown-signer' });
});

test('a flipped bit at the end of the image is found', async () => {
  const bytes = Buffer.from(image);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await expect(verify(annSignature, trustAnn, { bytes })).rejects.toMatchObject({
    code: 'bad-signature',
    message: expect.stringContaining('it is not over the bytes of'),
  });
});

test.each([
  ['truncated', image.subarray(0, -1)],
  ['longer', Buffer.concat([image, Buffer.from('x')])],
  ['empty', Buffer.alloc(0)],
  ['with other line ends', Buffer.from('line\n')],
])('a signature over another file is refused: %s', async (_, bytes) => {
  await expect(verify(annSignature, trustAnn, { bytes })).rejects.toMatchObject({
    code: 'bad-signature',
  });
});

test.each([
  ['an empty file', Buffer.alloc(0), 'it is empty'],
  ['a web page', Buffer.from('<html>404</html>'), 'neither armored nor binary'],
  ['a truncated armored one', annSignature.subarray(0, 120), 'neither armored nor binary'],
  ['a truncated binary one', gnupg.sign(image, ann, []).subarray(0, 40), ''],
  ['binary noise', Buffer.alloc(500, 0xc2), ''],
  ['a public key', Buffer.from(annKey), 'neither armored nor binary'],
])('%s instead of a signature is refused', async (_, signature, why) => {
  await expect(verify(signature, trustAnn)).rejects.toMatchObject({
    code: 'bad-signature',
    message: expect.stringContaining(why),
  });
});

test('a huge signature file is not read', async () => {
  await expect(verify(Buffer.alloc(2 << 20, 0x88), trustAnn)).rejects.toMatchObject({
    code: 'bad-signature',
    message: expect.stringContaining('more than 1048576 bytes'),
  });
});

test('a huge key file is not read', async () => {
  const trust = (scratch: TrustScratch) => {
    const path = scratch.key('local', name, ann, annKey);
    truncateSync(path, 1 << 30);
  };
  await expect(verify(annSignature, trust)).rejects.toMatchObject({ code: 'bad-key' });
});

test('a SHA-1 signature is refused', async () => {
  const key = gnupg.makeKey('sha1', 'rsa2048');
  const weak = gnupg.sign(image, key, ['--armor', '--digest-algo', 'SHA1']);
  const trust = (scratch: TrustScratch) => scratch.key('local', name, key, gnupg.exportKeys(key));
  await expect(verify(weak, trust)).rejects.toMatchObject({
    code: 'bad-signature',
    message: expect.stringContaining('SHA1'),
  });
});

test('a signature in text mode, which leaves line ends open, is refused', async () => {
  const bytes = Buffer.from('one\ntwo\n');
  const text = gnupg.sign(bytes, ann, ['--armor', '--textmode']);
  await expect(verify(text, trustAnn, { bytes })).rejects.toMatchObject({
    code: 'bad-signature',
    message: expect.stringContaining('not over binary content'),
  });
});

test('a key that has expired is refused, though it signed in time', async () => {
  const then = ['--faked-system-time', '20240101T000000!'];
  const key = gnupg.makeKey('late', 'ed25519', '1y', then);
  const signature = gnupg.sign(image, key, ['--armor', ...then]);
  const trust = (scratch: TrustScratch) => scratch.key('local', name, key, gnupg.exportKeys(key));
  await expect(verify(signature, trust)).rejects.toMatchObject({
    code: 'unusable-key',
    message: expect.stringMatching(/late@example\.com.*expired/),
  });
});

test('a key that was revoked is refused, though it signed before that', async () => {
  const key = gnupg.makeKey('gone');
  const signature = gnupg.sign(image, key);
  const revoked = gnupg.exportRevoked(key);
  const trust = (scratch: TrustScratch) => scratch.key('local', name, key, revoked);
  await expect(verify(signature, trust)).rejects.toMatchObject({
    code: 'unusable-key',
    message: expect.stringMatching(/gone@example\.com.*revoked/),
  });
});

test('an RSA key of 1024 bits is refused', async () => {
  const key = gnupg.makeKey('weak', 'rsa1024');
  const signature = gnupg.sign(image, key);
  const trust = (scratch: TrustScratch) => scratch.key('local', name, key, gnupg.exportKeys(key));
  await expect(verify(signature, trust)).rejects.toMatchObject({ code: 'unusable-key' });
});

test('memory stays flat over a large image', async () => {
  const scratch = new TrustScratch();
  trustAnn(scratch);
  const file = scratch.file('big.aci', '');
  truncateSync(file, 400 << 20);
  const signature = scratch.file('big.aci.asc', '');
  gnupg.gpg(['--local-user', ann, '--armor', '--output', signature, '--detach-sign', file]);
  const verifier = aciVerifier({ roots: scratch.roots, manifestName: async () => name });
  const before = process.memoryUsage().rss;
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 5);
  try {
    expect((await verifier({ file, signature, name })).signers).toHaveLength(1);
  } finally {
    clearInterval(watch);
  }
  expect(peak - before).toBeLessThan(150 << 20);
});

test('a key whose identity has control characters does not reach the terminal with them', async () => {
  const identity = 'evil\u001b[2J';
  gnupg.gpg(['--passphrase', '', '--quick-gen-key', identity, 'ed25519', 'sign', 'never']);
  const listing = gnupg.gpg(['--with-colons', '--list-keys', 'evil']).toString();
  const key = (/^fpr:+([0-9A-F]{40}):/m.exec(listing)?.[1] ?? '').toLowerCase();
  const signature = gnupg.sign(image, key);
  const trust = (scratch: TrustScratch) => scratch.key('local', name, key, gnupg.exportKeys(key));
  const { signers } = await verify(signature, trust);
  expect(signers[0]).not.toContain('\u001b');
});
