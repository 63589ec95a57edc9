import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { HttpClient } from '../../../src/http/client.ts';
import { registryVerifier } from '../../../src/trust/registry-hook.ts';
import type { CosignSignature, ManifestSource } from '../../../src/trust/types.ts';
import { manifestVerifier } from '../../../src/trust/verify-manifest.ts';
import { makePki, serve, withEnvironment } from '../http/server.ts';
import { annotation, CosignKeyPair, digestOf } from './cosign-maker.ts';
import { startGnupg } from './gnupg.ts';
import { TrustScratch } from './scratch.ts';

const type = 'application/vnd.oci.image.manifest.v1+json';
const manifest = Buffer.from(`{"schemaVersion":2,"mediaType":"${type}","layers":[]}`);
const other = Buffer.from(`{"schemaVersion":2,"mediaType":"${type}","layers":[1]}`);
const source = { transport: 'docker', registry: 'h.test:5000', repository: 'team/app', tag: '1' };
const app: ManifestSource = { ...source, transport: 'docker' };

/** Verifies with what is in the scratch folder's configuration. */
function verify(
  scratch: TrustScratch,
  image: {
    source?: ManifestSource;
    manifests?: readonly Uint8Array[];
    cosign?: readonly CosignSignature[];
  } = {},
) {
  const http = new HttpClient({ auth: new Map(), insecure: { tls: false, http: false } });
  onTestFinished(() => http.close());
  const { cosign } = image;
  return manifestVerifier({ roots: scratch.roots, http })({
    source: image.source ?? app,
    manifests: image.manifests ?? [manifest],
    ...(cosign && { cosignSignatures: async () => cosign }),
  });
}

function policy(scratch: TrustScratch, requirement: object, transport = 'docker'): void {
  scratch.file(
    'local/policy.json',
    JSON.stringify({
      default: [{ type: 'reject' }],
      transports: { [transport]: { '': [requirement] } },
    }),
  );
}

test('without policy and cosign key it is for others to decide', async () => {
  expect(await verify(new TrustScratch())).toBeUndefined();
});

test('the policy can accept anything, and reject', async () => {
  const scratch = new TrustScratch();
  policy(scratch, { type: 'insecureAcceptAnything' }, 'oci');
  const layout: ManifestSource = { transport: 'oci', path: scratch.folder };
  expect(await verify(scratch, { source: layout })).toEqual({ by: ['policy'], signers: [] });
  await expect(verify(scratch)).rejects.toMatchObject({
    code: 'rejected',
    message: expect.stringMatching(
      /docker:\/\/h\.test:5000\/team\/app:1 is rejected by .*local\/policy\.json/,
    ),
  });
});

test('a broken policy lets nothing pass', async () => {
  const scratch = new TrustScratch();
  scratch.file('local/policy.json', '{"default":[{"type":"insecureAcceptAnything"}],"more":1}');
  await expect(verify(scratch)).rejects.toMatchObject({ code: 'bad-policy' });
});

describe('simple signing', () => {
  const gnupg = startGnupg();
  const ann = gnupg.makeKey('ann', 'rsa2048');
  const bob = gnupg.makeKey('bob', 'ed25519');
  const env = { ...process.env, GNUPGHOME: gnupg.home };

  /** A policy that wants Ann's signature, and an empty lookaside. */
  function signedByAnn(more: object = {}): TrustScratch {
    const scratch = new TrustScratch();
    const keyPath = scratch.file('ann.asc', gnupg.exportKeys(ann));
    policy(scratch, { type: 'signedBy', keyType: 'GPGKeys', keyPath, ...more });
    const lookaside = pathToFileURL(join(scratch.folder, 'sigs')).href;
    scratch.file(
      'local/registries.d/a.json',
      JSON.stringify({ docker: { 'h.test:5000': { lookaside } } }),
    );
    return scratch;
  }

  /** Puts a signature where the lookaside has those of a manifest. */
  function place(scratch: TrustScratch, signature: Uint8Array, n = 1, signed = manifest): void {
    const folder = `sigs/team/app@${digestOf(signed).replace(':', '=')}`;
    scratch.file(`${folder}/signature-${n}`, signature);
  }

  function skopeoSign(
    scratch: TrustScratch,
    reference = 'h.test:5000/team/app:1',
    key = ann,
  ): Buffer {
    const output = join(scratch.folder, 'made');
    const file = scratch.file('manifest.json', manifest);
    execFileSync('skopeo', ['standalone-sign', file, reference, key.toUpperCase(), '-o', output], {
      env,
      stdio: 'pipe',
    });
    return readFileSync(output);
  }

  test('a signature that skopeo made is good', async () => {
    const scratch = signedByAnn();
    place(scratch, skopeoSign(scratch));
    expect(await verify(scratch)).toEqual({
      by: ['simple-signing'],
      signers: [`ann <ann@example.com> (${ann})`],
    });
  });

  test('an ed25519 signature by gpg, and keys in keyData, are good', async () => {
    const keyData = gnupg.exportBinary(bob).toString('base64');
    const scratch = signedByAnn({ keyPath: undefined, keyData });
    place(scratch, skopeoSign(scratch, undefined, bob));
    expect((await verify(scratch))?.signers).toEqual([expect.stringContaining(bob)]);
  });

  test('the signatures after a bad one are looked at', async () => {
    const scratch = signedByAnn();
    place(scratch, skopeoSign(scratch, undefined, bob), 1);
    place(scratch, skopeoSign(scratch), 2);
    expect((await verify(scratch))?.signers).toHaveLength(1);
  });

  test('an index that is signed vouches for the manifest chosen from it', async () => {
    const scratch = signedByAnn();
    place(scratch, skopeoSign(scratch));
    expect(await verify(scratch, { manifests: [manifest, other] })).toBeDefined();
  });

  test('no signature: rejected', async () => {
    await expect(verify(signedByAnn())).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringContaining('is not signed, but must be'),
    });
  });

  test('a signature by another key names it', async () => {
    const scratch = signedByAnn();
    place(scratch, skopeoSign(scratch, undefined, bob));
    await expect(verify(scratch)).rejects.toMatchObject({
      code: 'unknown-signer',
      message: expect.stringContaining(bob.slice(-16).toUpperCase()),
    });
  });

  test('a signature over another manifest, put in place of the right one, is refused', async () => {
    const scratch = signedByAnn();
    place(scratch, skopeoSign(scratch), 1, other);
    await expect(verify(scratch, { manifests: [other] })).rejects.toMatchObject({
      code: 'bad-signature',
      message: expect.stringMatching(/is over sha256:.*, not over/),
    });
  });

  test('a signature for another tag is refused, unless the policy looks at the repository only', async () => {
    const strict = signedByAnn();
    const signature = skopeoSign(strict, 'h.test:5000/team/app:2');
    place(strict, signature);
    await expect(verify(strict)).rejects.toMatchObject({
      code: 'bad-signature',
      message: expect.stringContaining('is for h.test:5000/team/app:2, not for this image'),
    });
    const loose = signedByAnn({ signedIdentity: { type: 'matchRepository' } });
    place(loose, signature);
    expect(await verify(loose)).toBeDefined();
  });

  test('an image asked for by digest may be signed under any tag', async () => {
    const scratch = signedByAnn();
    place(scratch, skopeoSign(scratch));
    const byDigest = { ...app, digest: digestOf(manifest) };
    expect(await verify(scratch, { source: byDigest })).toBeDefined();
  });

  test('a detached signature and a message that is not signed are refused', async () => {
    const scratch = signedByAnn();
    place(scratch, gnupg.sign(manifest, ann, []));
    place(scratch, gnupg.gpg(['--store'], manifest), 2);
    await expect(verify(scratch)).rejects.toMatchObject({ code: 'bad-signature' });
  });

  test.each([
    ['an unknown field', (text: string) => text.replace('"optional"', '"more":1,"optional"')],
    [
      'a doubled field',
      (text: string) => text.replace('"critical"', '"critical":{"type":"x"},"critical"'),
    ],
    ['another type', (text: string) => text.replace('atomic', 'cosign')],
  ])('a signed document with %s is refused', async (_, change) => {
    const document = `{"critical":{"type":"atomic container signature","image":{"docker-manifest-digest":"${digestOf(manifest)}"},"identity":{"docker-reference":"h.test:5000/team/app:1"}},"optional":{}}`;
    const sign = (text: string) => gnupg.gpg(['--local-user', ann, '--sign'], text);
    const scratch = signedByAnn();
    place(scratch, sign(change(document)));
    await expect(verify(scratch)).rejects.toMatchObject({ code: 'bad-signature' });
    place(scratch, sign(document));
    expect(await verify(scratch)).toBeDefined();
  });

  test.each([
    ['empty', Buffer.alloc(0)],
    ['noise', Buffer.alloc(300, 0xa7)],
    ['text', Buffer.from('hello')],
  ])('a damaged signature is refused: %s', async (_, signature) => {
    const scratch = signedByAnn();
    place(scratch, signature);
    await expect(verify(scratch)).rejects.toMatchObject({ code: 'bad-signature' });
  });

  test('a truncated signature is refused', async () => {
    const scratch = signedByAnn();
    place(scratch, skopeoSign(scratch).subarray(0, 200));
    await expect(verify(scratch)).rejects.toMatchObject({ code: 'bad-signature' });
  });

  test('a signed document that was changed is refused', async () => {
    const document = `{"critical":{"type":"atomic container signature","image":{"docker-manifest-digest":"${digestOf(manifest)}"},"identity":{"docker-reference":"h.test:5000/team/app:2"}},"optional":{}}`;
    const signature = gnupg.gpg(['--local-user', ann, '-z', '0', '--sign'], document);
    const changed = signature.toString('latin1').replace('team/app:2', 'team/app:1');
    expect(changed).toContain('team/app:1');
    const scratch = signedByAnn();
    place(scratch, Buffer.from(changed, 'latin1'));
    await expect(verify(scratch)).rejects.toMatchObject({
      code: 'bad-signature',
      message: expect.stringMatching(/by ann <ann@example\.com> .* is bad: /),
    });
  });

  test('a key of the policy that has expired is refused', async () => {
    const then = ['--faked-system-time', '20240101T000000!'];
    const late = gnupg.makeKey('late', 'ed25519', '1y', then);
    const scratch = signedByAnn();
    const keyPath = scratch.file('late.asc', gnupg.exportKeys(late));
    policy(scratch, { type: 'signedBy', keyType: 'GPGKeys', keyPath });
    place(scratch, gnupg.gpg([...then, '--local-user', late, '--sign'], 'a document'));
    await expect(verify(scratch)).rejects.toMatchObject({ code: 'unusable-key' });
  });

  test('a document that was signed as text is refused', async () => {
    const scratch = signedByAnn();
    place(scratch, gnupg.gpg(['--local-user', ann, '--textmode', '--sign'], 'a document'));
    await expect(verify(scratch)).rejects.toMatchObject({
      code: 'bad-signature',
      message: expect.stringContaining('is not signed'),
    });
  });

  test('a signature that unpacks to gigabytes is refused', async () => {
    const scratch = signedByAnn();
    const bomb = gnupg.gpg(['--local-user', ann, '--sign', '-z', '9'], Buffer.alloc(64 << 20));
    expect(bomb.length).toBeLessThan(1 << 20);
    place(scratch, bomb);
    await expect(verify(scratch)).rejects.toMatchObject({
      code: 'bad-signature',
      message: expect.stringContaining('damaged, or no signed message'),
    });
  });

  test('a lookaside by https is asked', async () => {
    const pki = makePki(join(new TrustScratch().folder, 'pki'));
    withEnvironment({ NODE_EXTRA_CA_CERTS: pki.ca });
    const scratch = signedByAnn();
    const signature = skopeoSign(scratch);
    const path = `/base/team/app@${digestOf(manifest).replace(':', '=')}/signature-1`;
    const origin = await serve((request, answer) => {
      if (request.url !== path) answer.statusCode = 404;
      answer.end(signature);
    }, pki);
    const entry = { lookaside: `${origin}/base/` };
    scratch.file('local/registries.d/a.json', JSON.stringify({ 'default-docker': entry }));
    expect((await verify(scratch))?.signers).toHaveLength(1);
  });

  test('a lookaside with an unknown field, or of plain HTTP, is refused', async () => {
    for (const entry of [{ lookaside: 'file:///x', more: 1 }, { lookaside: 'http://h.test/' }]) {
      const scratch = signedByAnn();
      scratch.file('local/registries.d/a.json', JSON.stringify({ 'default-docker': entry }));
      await expect(verify(scratch)).rejects.toMatchObject({ code: 'bad-policy' });
    }
  });

  test('the same lookaside in two files is refused', async () => {
    const scratch = signedByAnn();
    const text = JSON.stringify({ docker: { 'h.test:5000': { lookaside: 'file:///x' } } });
    scratch.file('local/registries.d/b.json', text);
    await expect(verify(scratch)).rejects.toMatchObject({ code: 'bad-policy' });
  });

  test('a signature that skopeo copy made beside an image is good', async () => {
    const scratch = signedByAnn({
      signedIdentity: { type: 'exactReference', dockerReference: 'h.test:5000/team/app:1' },
    });
    const image = join(scratch.folder, 'image');
    mkdirSync(image);
    execFileSync(
      'skopeo',
      [
        ...['--insecure-policy', 'copy', '--sign-by', ann.toUpperCase()],
        ...[
          '--sign-identity',
          'h.test:5000/team/app:1',
          `oci:${emptyLayout(scratch)}`,
          `dir:${image}`,
        ],
      ],
      { env, stdio: 'pipe' },
    );
    const copied = readFileSync(join(image, 'manifest.json'));
    place(scratch, readFileSync(join(image, 'signature-1')), 1, copied);
    expect(await verify(scratch, { manifests: [copied] })).toBeDefined();
  });
});

/** An OCI layout with an image without layers. */
function emptyLayout(scratch: TrustScratch): string {
  const blob = (bytes: Buffer, mediaType: string) => {
    const digest = digestOf(bytes);
    scratch.file(`layout/blobs/${digest.replace(':', '/')}`, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const config = blob(
    json({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [] },
      config: {},
    }),
    'application/vnd.oci.image.config.v1+json',
  );
  const one = blob(json({ schemaVersion: 2, mediaType: type, config, layers: [] }), type);
  scratch.file('layout/index.json', json({ schemaVersion: 2, manifests: [one] }));
  scratch.file('layout/oci-layout', '{"imageLayoutVersion":"1.0.0"}');
  return join(scratch.folder, 'layout');
}

describe('cosign', () => {
  const pair = new CosignKeyPair();
  const reference = 'h.test:5000/team/app';

  function trusting(pem = pair.pem, prefix: string | undefined = 'h.test:5000/team'): TrustScratch {
    const scratch = new TrustScratch();
    scratch.key('local', prefix, 'cosign.pub', pem);
    return scratch;
  }

  test('a signature by the key of the prefix is good', async () => {
    const scratch = trusting();
    expect(await verify(scratch, { cosign: [pair.sign(manifest, reference)] })).toEqual({
      by: ['cosign'],
      signers: [
        expect.stringMatching(/^cosign key .*\/prefix\.d\/h\.test:5000\/team\/cosign\.pub$/),
      ],
    });
  });

  test('Docker Hub is the same under all its names', async () => {
    const scratch = trusting(pair.pem, 'docker.io/library/busybox');
    const hub: ManifestSource = {
      transport: 'docker',
      registry: 'registry-1.docker.io',
      repository: 'library/busybox',
    };
    const cosign = [pair.sign(manifest, 'index.docker.io/library/busybox')];
    expect(await verify(scratch, { source: hub, cosign })).toBeDefined();
  });

  test('an image without a signature is rejected', async () => {
    await expect(verify(trusting(), { cosign: [] })).rejects.toMatchObject({ code: 'rejected' });
  });

  test('a key for another prefix says nothing', async () => {
    expect(await verify(trusting(pair.pem, 'h.test:5000/tea'))).toBeUndefined();
  });

  test('a signature by another key is refused', async () => {
    const cosign = [new CosignKeyPair().sign(manifest, reference)];
    await expect(verify(trusting(), { cosign })).rejects.toMatchObject({ code: 'unknown-signer' });
  });

  test('a signature over another manifest is refused', async () => {
    const cosign = [pair.sign(other, reference)];
    await expect(verify(trusting(), { cosign })).rejects.toMatchObject({ code: 'bad-signature' });
  });

  test.each(['h.test:5000/team/other', 'h.test/team/app', 'h.test:5000/team/app:2', 'nonsense!'])(
    'a signature for %s is refused',
    async (signedFor) => {
      const cosign = [pair.sign(manifest, signedFor)];
      await expect(verify(trusting(), { cosign })).rejects.toMatchObject({ code: 'bad-signature' });
    },
  );

  test('a document of another type is refused', async () => {
    const cosign = [pair.sign(manifest, reference, 'atomic container signature')];
    await expect(verify(trusting(), { cosign })).rejects.toMatchObject({ code: 'bad-signature' });
  });

  test('a changed document and a missing annotation are refused', async () => {
    const good = pair.sign(other, reference);
    const changed = Buffer.from(
      Buffer.from(good.payload).toString().replace(digestOf(other), digestOf(manifest)),
    );
    for (const cosign of [
      [{ ...good, payload: changed }],
      [{ payload: good.payload, annotations: {} }],
      [{ payload: changed, annotations: { [annotation]: '!' } }],
    ])
      await expect(verify(trusting(), { cosign })).rejects.toMatchObject({
        code: expect.stringMatching(/unknown-signer|bad-signature/),
      });
  });

  test.each([
    ['P-384', () => new CosignKeyPair('P-384').pem],
    ['no PEM', () => 'hello'],
    ['a damaged PEM', () => pair.pem.replace(/M/g, 'A')],
  ])('a cosign.pub of another kind is refused: %s', async (_, pem) => {
    const cosign = [pair.sign(manifest, reference)];
    await expect(verify(trusting(pem()), { cosign })).rejects.toMatchObject({ code: 'bad-key' });
  });

  test('a policy that accepts anything does not replace the key', async () => {
    const scratch = trusting();
    policy(scratch, { type: 'insecureAcceptAnything' });
    await expect(verify(scratch, { cosign: [] })).rejects.toMatchObject({ code: 'rejected' });
  });

  test('the policy can name the key as well', async () => {
    const scratch = new TrustScratch();
    const keyPath = scratch.file('cosign.pub', pair.pem);
    const signedIdentity = { type: 'matchRepository' };
    policy(scratch, { type: 'sigstoreSigned', keyPath, signedIdentity });
    expect((await verify(scratch, { cosign: [pair.sign(manifest, reference)] }))?.by).toEqual([
      'cosign',
    ]);
    await expect(verify(scratch, { cosign: [] })).rejects.toMatchObject({ code: 'rejected' });
  });

  test('the hook for registries refuses what nobody vouches for, and tells who signed', async () => {
    const http = new HttpClient({ auth: new Map(), insecure: { tls: false, http: false } });
    const lines: string[] = [];
    const run = (scratch: TrustScratch) =>
      registryVerifier({ roots: scratch.roots, http }, (line) => lines.push(line))({
        reference: { registry: 'h.test:5000', repository: 'team/app', tag: '1' },
        manifestBytes: manifest,
        index: { bytes: other },
        fetchSignatures: async (digest) =>
          digest === digestOf(manifest) ? [pair.sign(manifest, reference)] : [],
      });
    await expect(run(new TrustScratch())).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringContaining('try --insecure-options=image'),
    });
    await run(trusting());
    expect(lines).toEqual([expect.stringContaining('is signed by cosign key')]);
  });
});
