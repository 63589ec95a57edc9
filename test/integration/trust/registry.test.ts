import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseDockerReference } from '../../../src/image/docker-reference.ts';
import { fetchDocker } from '../../../src/image/registry/fetch-docker.ts';
import { openStore } from '../../../src/image/store.ts';
import { registryVerifier } from '../../../src/trust/registry-hook.ts';
import { startLocal } from '../../lib/local.ts';
import { client, withEnvironment } from '../../unit/http/server.ts';
import { CosignKeyPair, digestOf } from '../../unit/trust/cosign-maker.ts';
import { startGnupg } from '../../unit/trust/gnupg.ts';
import { TrustScratch } from '../../unit/trust/scratch.ts';
import { makeLayout, RegistryServer, run } from '../registry/peers.ts';

const local = startLocal();
const gnupg = startGnupg();
const ann = gnupg.makeKey('ann', 'rsa2048');
let made: string;
let layout: string;
let server: RegistryServer;

beforeAll(async () => {
  made = mkdtempSync(join(tmpdir(), 'rkt-trust-made-'));
  layout = makeLayout(made);
  server = await RegistryServer.start();
});
afterAll(async () => {
  await server.stop();
  rmSync(made, { recursive: true, force: true });
});
beforeEach(() =>
  withEnvironment({
    NODE_EXTRA_CA_CERTS: server.pki.ca,
    GNUPGHOME: gnupg.home,
    HOME: made,
    REGISTRY_AUTH_FILE: undefined,
    DOCKER_CONFIG: undefined,
    XDG_RUNTIME_DIR: made,
  }),
);

/** Fetches an image of the registry into an empty store, by the trust of the scratch folder. */
async function fetch(scratch: TrustScratch, name: string) {
  const store = openStore(mkdtempSync(join(scratch.folder, 'data-')));
  const http = client({ insecure: { tls: false, http: false } });
  const signers: string[] = [];
  const image = await fetchDocker(store, parseDockerReference(`${server.host}/${name}`), {
    client: http,
    pullPolicy: 'new',
    insecure: { image: false },
    warn: () => {},
    verifyManifest: registryVerifier({ roots: scratch.roots, http }, (line) => signers.push(line)),
  });
  return { key: image.key, signers };
}

/** The policy and lookaside of a machine that wants Ann's signature on all of the registry. */
function signedByAnn(lookaside: string): TrustScratch {
  const scratch = new TrustScratch();
  const keyPath = scratch.file('ann.asc', gnupg.exportKeys(ann));
  const requirement = { type: 'signedBy', keyType: 'GPGKeys', keyPath };
  scratch.file(
    'local/policy.json',
    JSON.stringify({
      default: [{ type: 'reject' }],
      transports: { docker: { [server.host]: [requirement] } },
    }),
  );
  scratch.file(
    'local/registries.d/registry.json',
    JSON.stringify({ docker: { [server.host]: { lookaside } } }),
  );
  return scratch;
}

/** Pushes by `skopeo copy --sign-by` into a lookaside; gives its URL. */
function pushSigned(name: string): string {
  const folder = mkdtempSync(join(made, 'signed-'));
  const lookaside = pathToFileURL(join(folder, 'lookaside')).href;
  mkdirSync(join(folder, 'registries.d'));
  writeFileSync(
    join(folder, 'registries.d/registry.yaml'),
    JSON.stringify({ docker: { [server.host]: { 'lookaside-staging': lookaside } } }),
  );
  const registries = `--registries.d=${folder}/registries.d`;
  server.push(`oci:${layout}:v1`, name, registries, '--sign-by', ann.toUpperCase());
  return lookaside;
}

test('an image that skopeo copy signed into a lookaside is fetched by the policy', async () => {
  const scratch = signedByAnn(pushSigned('simple/app:v1'));
  const { key, signers } = await fetch(scratch, 'simple/app:v1');
  expect(key).toMatch(/^sha512-/);
  expect(signers).toEqual([expect.stringContaining(`is signed by ann <ann@example.com> (${ann})`)]);
});

test('the same image under another name, or changed afterwards, is refused', async () => {
  const lookaside = pushSigned('simple/base:v1');
  const scratch = signedByAnn(lookaside);
  server.push(`docker://${server.host}/simple/base:v1`, 'simple/base:v2', ...source());
  await expect(fetch(scratch, 'simple/base:v2')).rejects.toMatchObject({
    message: expect.stringContaining('not for this image'),
  });
  server.push(`oci:${layout}:arm`, 'simple/base:v1');
  await expect(fetch(scratch, 'simple/base:v1')).rejects.toMatchObject({ code: 'rejected' });
});

function source(): string[] {
  return [`--src-cert-dir=${server.folder}/certs`];
}

test('what no scope of the policy has is rejected by its default', async () => {
  const scratch = signedByAnn('file:///nonexistent');
  const other = JSON.stringify({ default: [{ type: 'reject' }], transports: { docker: {} } });
  scratch.file('local/policy.json', other);
  server.push(`oci:${layout}:v1`, 'plain/app:v1');
  await expect(fetch(scratch, 'plain/app:v1')).rejects.toMatchObject({ code: 'rejected' });
});

test('without policy and keys an image of a registry is refused, with the way out', async () => {
  server.push(`oci:${layout}:v1`, 'plain/app:v1');
  await expect(fetch(new TrustScratch(), 'plain/app:v1')).rejects.toMatchObject({
    code: 'rejected',
    message: expect.stringContaining('--insecure-options=image'),
  });
});

/** Uploads to the registry as cosign does: blobs, then the manifest with its tag. */
class Uploader {
  readonly #repository: string;
  constructor(repository: string) {
    this.#repository = `https://${server.host}/v2/${repository}`;
  }

  manifestOf(tag: string): Buffer {
    const accept = 'accept: application/vnd.oci.image.manifest.v1+json';
    return Buffer.from(this.#curl('-H', accept, `${this.#repository}/manifests/${tag}`));
  }

  blob(bytes: Uint8Array): { digest: string; size: number } {
    const digest = digestOf(bytes);
    const headers = this.#curl('-D', '-', '-X', 'POST', `${this.#repository}/blobs/uploads/`);
    const [, location = ''] = /^location: (\S+)/im.exec(headers) ?? [];
    const url = `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`;
    this.#put(url, bytes, 'application/octet-stream');
    return { digest, size: bytes.length };
  }

  manifest(tag: string, manifest: { mediaType: string; [field: string]: unknown }): void {
    const bytes = Buffer.from(JSON.stringify(manifest));
    this.#put(`${this.#repository}/manifests/${tag}`, bytes, manifest.mediaType);
  }

  #put(url: string, bytes: Uint8Array, type: string): void {
    const file = join(made, `upload-${digestOf(bytes).slice(7)}`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    this.#curl('-X', 'PUT', '-H', `content-type: ${type}`, '--data-binary', `@${file}`, url);
  }

  #curl(...args: string[]): string {
    return run('curl', '-sSf', '--cacert', server.pki.ca, ...args);
  }
}

/** Pushes an image and signs it in the registry, as `cosign sign --key` does. */
function pushCosigned(repository: string, pair: CosignKeyPair, signedFor = repository): void {
  server.push(`oci:${layout}:v1`, `${repository}:v1`);
  const uploader = new Uploader(repository);
  const image = uploader.manifestOf('v1');
  const { payload, annotations } = pair.sign(image, `${server.host}/${signedFor}`);
  uploader.manifest(`${digestOf(image).replace(':', '-')}.sig`, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      ...uploader.blob(Buffer.from('{"architecture":"","os":"","rootfs":{"type":"layers"}}')),
    },
    layers: [
      {
        mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
        ...uploader.blob(payload),
        annotations,
      },
    ],
  });
}

test('an image that is signed in its registry by the key of its prefix is fetched', async () => {
  const pair = new CosignKeyPair();
  pushCosigned('cosign/app', pair);
  const scratch = new TrustScratch();
  scratch.key('local', `${server.host}/cosign`, 'cosign.pub', pair.pem);
  expect((await fetch(scratch, 'cosign/app:v1')).signers).toEqual([
    expect.stringContaining('is signed by cosign key'),
  ]);
});

test('an image signed by another key, for another repository, or not at all is refused', async () => {
  const pair = new CosignKeyPair();
  pushCosigned('cosign/other-key', new CosignKeyPair());
  pushCosigned('cosign/moved', pair, 'cosign/original');
  server.push(`oci:${layout}:v1`, 'cosign/bare:v1');
  const scratch = new TrustScratch();
  scratch.key('local', `${server.host}/cosign`, 'cosign.pub', pair.pem);
  const codes = ['other-key', 'moved', 'bare'].map((name) =>
    fetch(scratch, `cosign/${name}:v1`).then(
      () => 'fetched',
      (error: { code: string }) => error.code,
    ),
  );
  expect(await Promise.all(codes)).toEqual(['unknown-signer', 'bad-signature', 'rejected']);
});

test('rkt fetch takes an image of a registry that the policy vouches for, and no other', async () => {
  const scratch = signedByAnn(pushSigned('cli/app:v1'));
  server.push(`oci:${layout}:v1`, 'cli/unsigned:v1');
  const config = `--local-config=${scratch.roots.local}`;
  const rkt = (name: string) => local.rkt([config, 'fetch', `docker://${server.host}/${name}`]);
  const signed = await rkt('cli/app:v1');
  expect(signed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sha512-/) });
  expect(signed.stderr).toContain(`is signed by ann <ann@example.com> (${ann})`);
  expect(await rkt('cli/unsigned:v1')).toMatchObject({
    code: 254,
    stdout: '',
    stderr: expect.stringContaining('is not signed, but must be'),
  });
});
