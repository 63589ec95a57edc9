import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { HttpClient } from '../../../src/http/client.ts';
import { parseDockerReference } from '../../../src/image/docker-reference.ts';
import { fetchDocker } from '../../../src/image/registry/fetch-docker.ts';
import { resolveImage } from '../../../src/image/resolve.ts';
import type { FetchOptions } from '../../../src/image/resolve-options.ts';
import { openStore, type Store, type StoredImage } from '../../../src/image/store.ts';
import { client, withEnvironment } from '../../unit/http/server.ts';
import { makeLayout, ofLayers, RegistryServer, run } from './peers.ts';

let made: string;
let layout: string;
let server: RegistryServer;
let scratch: string;
let store: Store;

const password = { user: 'me', password: 'secret' };
const creds = '--dest-creds=me:secret';

beforeAll(async () => {
  made = mkdtempSync(join(tmpdir(), 'rkt-registry-made-'));
  layout = makeLayout(made);
  server = await RegistryServer.start({
    auth(folder) {
      const path = join(folder, 'htpasswd');
      writeFileSync(path, run('htpasswd', '-nbB', 'me', 'secret'));
      return { htpasswd: { realm: 'the tests', path } };
    },
  });
  server.push(`oci:${layout}:v1`, 'team/app:v1', creds);
});
afterAll(async () => {
  await server.stop();
  rmSync(made, { recursive: true, force: true });
});

beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'rkt-registry-store-'));
  onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
  store = openStore(join(scratch, 'data'));
  withEnvironment({
    NODE_EXTRA_CA_CERTS: server.pki.ca,
    HOME: scratch,
    REGISTRY_AUTH_FILE: undefined,
    DOCKER_CONFIG: undefined,
    XDG_RUNTIME_DIR: scratch,
  });
  await server.forgetRequests();
});

function fetch(name: string, options: Partial<FetchOptions> = {}, into = store) {
  return fetchDocker(into, parseDockerReference(`${server.host}/${name}`), {
    client: client({ insecure: { tls: false, http: false } }),
    pullPolicy: 'new',
    insecure: { image: true },
    warn: () => {},
    dockerAuth: new Map([[server.host, password]]),
    ...options,
  });
}

function fromLayout(into: Store, path = layout, tag = 'v1'): Promise<StoredImage> {
  const options = { pullPolicy: 'new', insecure: { image: true }, warn: () => {} } as const;
  return resolveImage(into, `oci:${path}:${tag}`, options);
}

/** Everything in the trees of an image: names, types, modes, owners, times, xattrs and contents. */
function treesOf(from: Store, { layers }: StoredImage): string[] {
  return layers.map((id) => {
    const tar = ['--sort=name', '--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];
    const times = '--pax-option=delete=atime,delete=ctime';
    const script = 'tar "$@" -c . | sha256sum';
    return run('sh', '-ec', `cd "$0"; ${script}`, from.treeRoot(id), ...tar, times);
  });
}

function expectEmptyStore(): void {
  for (const part of ['image', 'tree', 'blob', 'tmp'] as const)
    expect(existsSync(store.path(part)) ? readdirSync(store.path(part)) : []).toEqual([]);
}

/** The layers of an image in the registry. */
function layersOf(name: string): { digest: string; mediaType: string }[] {
  const options = [`--cert-dir=${server.folder}/certs`, '--creds=me:secret'];
  return JSON.parse(
    run('skopeo', 'inspect', '--raw', ...options, `docker://${server.host}/${name}`),
  ).layers;
}

async function blobsAsked(): Promise<string[]> {
  return (await server.requests()).filter((line) => line.includes('/blobs/'));
}

describe('an image in a registry', () => {
  test('has the key and the trees of the same image in a layout', async () => {
    const image = await fetch('team/app:v1');
    const other = openStore(join(scratch, 'other'));
    const local = await fromLayout(other);
    expect([image.key, image.layers]).toEqual([local.key, local.layers]);
    expect(ofLayers(image)).toHaveLength(4);
    expect(treesOf(store, image)).toEqual(treesOf(other, local));
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  });

  test('is named by its registry, repository and tag', async () => {
    const { manifest, source } = await fetch('team/app:v1');
    const host = server.host.replace(':', '_');
    expect(manifest.name).toBe(`${host}/team/app`);
    expect(manifest.labels).toContainEqual({ name: 'version', value: 'v1' });
    expect(
      Object.fromEntries(manifest.annotations.map(({ name, value }) => [name, value])),
    ).toMatchObject({
      'appc.io/docker/registryurl': server.host,
      'appc.io/docker/repository': 'team/app',
      'appc.io/docker/tag': 'v1',
    });
    expect(source?.reference).toBe(`docker://${server.host}/team/app:v1`);
  });

  test.each(['v2s2', 'oci'])('may be in the format %s', async (format) => {
    server.push(`oci:${layout}:v1`, `team/${format}:v1`, creds, `--format=${format}`);
    const image = await fetch(`team/${format}:v1`);
    expect(image.layers).toEqual((await fromLayout(store)).layers);
  });

  test('may have layers of zstd', async () => {
    const plain = join(scratch, 'plain');
    run('skopeo', 'copy', '-q', '--dest-decompress', `oci:${layout}:v1`, `dir:${plain}`);
    const zstd = join(scratch, 'zstd');
    const format = ['--dest-compress', '--dest-compress-format=zstd'];
    run('skopeo', 'copy', '-q', ...format, `dir:${plain}`, `oci:${zstd}:v1`);
    server.push(`oci:${zstd}:v1`, 'team/zstd:v1', creds, '--preserve-digests');
    expect(layersOf('team/zstd:v1')[0]?.mediaType).toMatch(/zstd$/);
    const image = await fetch('team/zstd:v1');
    expect(image.layers).toEqual((await fromLayout(store)).layers);
  });

  test('is found by digest', async () => {
    const raw = run('skopeo', 'inspect', '--raw', `oci:${layout}:v1`);
    server.push(`oci:${layout}:v1`, 'team/digest:v1', creds, '--preserve-digests');
    const digest = createHash('sha256').update(raw).digest('hex');
    const image = await fetch(`team/digest@sha256:${digest}`);
    expect(image.key).toBe((await fromLayout(store)).key);
    expect(image.version).toBeUndefined();
  });

  test('that is not there is told as the registry tells it', async () => {
    await expect(fetch('team/app:v9')).rejects.toMatchObject({
      name: 'HttpError',
      status: 404,
      message: `cannot get docker://${server.host}/team/app:v9: the registry has no manifest v9: manifest unknown`,
    });
    expectEmptyStore();
  });

  test('made by buildah is taken', async () => {
    writeFileSync(join(scratch, 'hello'), 'hello');
    const at = ['--root', join(scratch, 'storage'), '--runroot', join(scratch, 'run')];
    const buildah = (...args: string[]) =>
      run('buildah', ...at, '--storage-driver', 'vfs', ...args).trim();
    const container = buildah('from', 'scratch');
    buildah('copy', container, join(scratch, 'hello'), '/hello');
    buildah('config', '--cmd', '["/hello"]', '--author', 'a', container);
    buildah('commit', '-q', container, 'hello');
    const certificates = ['--cert-dir', join(server.folder, 'certs'), '--creds', 'me:secret'];
    buildah('push', '-q', ...certificates, 'hello', `docker://${server.host}/by/buildah:1`);
    const { manifest, layers } = await fetch('by/buildah:1');
    expect(manifest.app?.exec).toEqual(['/hello']);
    expect(readFileSync(join(store.treeRoot(layers[0] ?? ''), 'hello'), 'utf8')).toBe('hello');
  });
});

describe('of an index', () => {
  /** A layout whose one entry is an index of two platforms, `nested` deep. */
  function makeIndex(nested: boolean): string {
    const path = join(scratch, 'index');
    run('cp', '-a', layout, path);
    const write = (value: object) => {
      const bytes = Buffer.from(JSON.stringify(value));
      const hex = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(path, 'blobs/sha256', hex), bytes);
      const mediaType = 'application/vnd.oci.image.index.v1+json';
      return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
    };
    const index = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8'));
    const pick = (tag: string, architecture: string) => {
      const found = index.manifests.find(
        (each: { annotations: Record<string, string> }) =>
          each.annotations['org.opencontainers.image.ref.name'] === tag,
      );
      return { ...found, annotations: undefined, platform: { os: 'linux', architecture } };
    };
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const manifests = [pick('arm', 'arm64'), pick('v1', 'amd64')];
    let top = write({ schemaVersion: 2, mediaType, manifests });
    if (nested) top = write({ schemaVersion: 2, mediaType, manifests: [top] });
    const named = { ...top, annotations: { 'org.opencontainers.image.ref.name': 'both' } };
    writeFileSync(
      join(path, 'index.json'),
      JSON.stringify({ schemaVersion: 2, manifests: [named] }),
    );
    return path;
  }

  test.each([
    ['oci', 'OCI'],
    ['v2s2', "Docker's manifest list"],
  ])('in the format %s the image for this host is taken', async (format) => {
    server.push(
      `oci:${makeIndex(false)}:both`,
      `team/${format}-index:1`,
      creds,
      '--all',
      `--format=${format}`,
    );
    expect((await fetch(`team/${format}-index:1`)).manifest.labels).toContainEqual({
      name: 'arch',
      value: 'amd64',
    });
  });

  test('that is nested the image for this host is taken', async () => {
    const path = makeIndex(true);
    server.push(`oci:${layout}:v1`, 'team/nested:amd64', creds, '--preserve-digests');
    server.push(`oci:${layout}:arm`, 'team/nested:arm64', creds, '--preserve-digests');
    const read = (digest: string) => join(path, 'blobs', digest.replace(':', '/'));
    const top = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8')).manifests[0];
    const inner = JSON.parse(readFileSync(read(top.digest), 'utf8')).manifests[0];
    for (const [name, file] of [
      [inner.digest, read(inner.digest)],
      ['both', read(top.digest)],
    ] as const)
      run(
        ...(['curl', '-sf', '--cacert', server.pki.ca, '-u', 'me:secret', '-X', 'PUT'] as const),
        ...['-H', `content-type: ${top.mediaType}`, '--data-binary', `@${file}`],
        `https://${server.host}/v2/team/nested/manifests/${name}`,
      );
    expect((await fetch('team/nested:both')).key).toBe((await fromLayout(store)).key);
  });
});

describe('credentials', () => {
  const none = { dockerAuth: new Map() };

  test('that are missing are asked for, naming where they may stand', async () => {
    await expect(fetch('team/app:v1', none)).rejects.toMatchObject({
      status: 401,
      message: expect.stringMatching(/needs credentials \(auth\.d.*docker login\)/),
    });
    expectEmptyStore();
  });

  test('that are wrong are named with the place where they stand', async () => {
    const wrong = new Map([[server.host, { user: 'me', password: 'wrong' }]]);
    await expect(fetch('team/app:v1', { dockerAuth: wrong })).rejects.toMatchObject({
      status: 401,
      message: expect.stringContaining('does not accept user "me" from auth.d'),
    });
  });

  test.each(['skopeo', 'buildah'])('that %s login left are used', async (program) => {
    const file = join(scratch, 'auth.json');
    run(
      ...([program, 'login', '--authfile', file, '-u', 'me', '-p', 'secret'] as const),
      ...['--cert-dir', join(server.folder, 'certs'), server.host],
    );
    withEnvironment({ REGISTRY_AUTH_FILE: file });
    expect(ofLayers(await fetch('team/app:v1', none))).toHaveLength(4);
  });
});

describe('a certificate', () => {
  test('of an unknown CA is refused, naming what can be done', async () => {
    withEnvironment({ NODE_EXTRA_CA_CERTS: undefined, SSL_CERT_FILE: undefined });
    await expect(fetch('team/app:v1')).rejects.toMatchObject({ name: 'HttpError', code: 'tls' });
  });

  test('is not looked at where the user says so', async () => {
    withEnvironment({ NODE_EXTRA_CA_CERTS: undefined, SSL_CERT_FILE: undefined });
    const insecure = client({ insecure: { tls: true, http: false } });
    expect(ofLayers(await fetch('team/app:v1', { client: insecure }))).toHaveLength(4);
  });
});

describe('what is stored', () => {
  test('is taken without asking by the policies new and never', async () => {
    const { key } = await fetch('team/app:v1');
    await server.forgetRequests();
    expect((await fetch('team/app:v1')).key).toBe(key);
    expect((await fetch('team/app:v1', { pullPolicy: 'never' })).key).toBe(key);
    expect(await server.requests()).toEqual([]);
  });

  test('costs the policy update one question while the tag is the same', async () => {
    const { key } = await fetch('team/app:v1');
    await server.forgetRequests();
    expect((await fetch('team/app:v1', { pullPolicy: 'update' })).key).toBe(key);
    expect([...new Set(await server.requests())].sort()).toEqual([
      'GET /v2/',
      'HEAD /v2/team/app/manifests/v1',
    ]);
  });

  test('is replaced by the policy update when the tag has moved, layer by layer', async () => {
    server.push(`oci:${layout}:v1`, 'team/moves:1', creds);
    const first = await fetch('team/moves:1');
    server.push(`oci:${layout}:arm`, 'team/moves:1', creds);
    await server.forgetRequests();
    const second = await fetch('team/moves:1', { pullPolicy: 'update' });
    expect(second.key).not.toBe(first.key);
    expect(second.layers).toEqual(first.layers);
    expect(new Set(await blobsAsked()).size).toBe(1);
    expect((await fetch('team/moves:1')).key).toBe(second.key);
  });

  test('and not there is no reason for the policy never to ask', async () => {
    await expect(fetch('team/app:v1', { pullPolicy: 'never' })).rejects.toMatchObject({
      code: 'not-found',
    });
    expect(await server.requests()).toEqual([]);
  });

  test('of layers, and missing as image, is not fetched again', async () => {
    await fromLayout(store);
    await fetch('team/app:v1');
    expect(new Set(await blobsAsked()).size).toBe(1);
  });

  test('is fetched once by two who want it at once', async () => {
    const both = await Promise.all([fetch('team/app:v1'), fetch('team/app:v1')]);
    expect(both[0]?.key).toBe(both[1]?.key);
    const layers = layersOf('team/app:v1').map(({ digest }) => digest);
    const asked = await blobsAsked();
    for (const digest of layers)
      expect(asked.filter((line) => line.endsWith(digest))).toHaveLength(1);
  });
});

describe('trust', () => {
  test('is missing: the image is refused before anything is asked', async () => {
    await expect(fetch('team/app:v1', { insecure: { image: false } })).rejects.toMatchObject({
      code: 'untrusted',
      message: expect.stringContaining(
        'signature verification for docker images is not supported (try --insecure-options=image)',
      ),
    });
    expect(await server.requests()).toEqual([]);
    expectEmptyStore();
  });

  test('is decided on the manifest, before config and layers are asked for', async () => {
    const seen: unknown[] = [];
    const options = {
      insecure: { image: false },
      async verifyManifest({ digest, manifestBytes }: { digest: string; manifestBytes: Buffer }) {
        const found = createHash('sha256').update(manifestBytes).digest('hex');
        seen.push(digest === `sha256:${found}`);
        throw new Error('not signed');
      },
    };
    await expect(fetch('team/app:v1', options)).rejects.toThrow('not signed');
    expect(seen).toEqual([true]);
    expect(await blobsAsked()).toEqual([]);
    expectEmptyStore();
  });

  test('once given lets the image pass, and is asked for again by update only if it is not known', async () => {
    let asked = 0;
    const verifyManifest = async () => {
      asked++;
    };
    await fetch('team/app:v1');
    const strict = { insecure: { image: false }, verifyManifest, pullPolicy: 'update' } as const;
    await fetch('team/app:v1', strict);
    await fetch('team/app:v1', strict);
    expect(asked).toBe(1);
  });

  test('finds the signatures that lie beside the image', async () => {
    const found: unknown[] = [];
    await fetch('team/app:v1', {
      insecure: { image: false },
      async verifyManifest({ digest, fetchSignatures }) {
        found.push(await fetchSignatures(digest));
        sign('team/app', digest, 'the payload', 'c2lnbmVk');
        found.push(await fetchSignatures(digest));
      },
    });
    expect(found).toEqual([
      [],
      [
        {
          payload: Buffer.from('the payload'),
          annotations: { 'dev.cosignproject.cosign/signature': 'c2lnbmVk' },
        },
      ],
    ]);
  });

  /** Puts a signature where cosign puts it. */
  function sign(repository: string, digest: string, payload: string, signature: string): void {
    const path = join(scratch, 'signature');
    run('umoci', 'init', '--layout', path);
    const write = (bytes: string) => {
      const hex = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(path, 'blobs/sha256', hex), bytes);
      return { digest: `sha256:${hex}`, size: bytes.length };
    };
    const layer = {
      ...write(payload),
      mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
      annotations: { 'dev.cosignproject.cosign/signature': signature },
    };
    const config = {
      ...write('{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'),
      mediaType: 'application/vnd.oci.image.config.v1+json',
    };
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = write(
      JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [layer] }),
    );
    const named = {
      ...manifest,
      mediaType,
      annotations: { 'org.opencontainers.image.ref.name': 's' },
    };
    writeFileSync(
      join(path, 'index.json'),
      JSON.stringify({ schemaVersion: 2, manifests: [named] }),
    );
    server.push(`oci:${path}:s`, `${repository}:${digest.replace(':', '-')}.sig`, creds);
  }
});

describe('a flipped byte', () => {
  /** Changes one byte of a blob on the registry's disk, and puts it back after the test. */
  function flip(digest: string): void {
    const path = server.blobPath(digest);
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad[bad.length >> 1] = (bad[bad.length >> 1] ?? 0) ^ 1;
    writeFileSync(path, bad);
    onTestFinished(() => writeFileSync(path, good));
  }

  test.each([0, 1, 2, 3])(
    'in layer %i is refused, naming the digest; nothing is left',
    async (n) => {
      const { digest = '' } = layersOf('team/app:v1')[n] ?? {};
      flip(digest);
      await expect(fetch('team/app:v1')).rejects.toMatchObject({
        code: 'mismatch',
        message: expect.stringContaining(digest),
      });
      expect(store.list()).toEqual([]);
      expect(readdirSync(store.path('tmp'))).toEqual([]);
      expect(existsSync(store.path('tree', layerTree(n)))).toBe(false);
    },
  );

  test('in the config is refused, naming the digest; nothing is left', async () => {
    const options = [`--cert-dir=${server.folder}/certs`, '--creds=me:secret'];
    const raw = run(
      'skopeo',
      'inspect',
      '--raw',
      ...options,
      `docker://${server.host}/team/app:v1`,
    );
    const { digest } = JSON.parse(raw).config;
    flip(digest);
    await expect(fetch('team/app:v1')).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringContaining(digest),
    });
    expectEmptyStore();
  });

  function layerTree(n: number): string {
    const config = JSON.parse(run('skopeo', 'inspect', '--config', '--raw', `oci:${layout}:v1`));
    return config.rootfs.diff_ids[n].replace(':', '-');
  }
});

test('progress of each layer goes from its start to its size', async () => {
  const bars = new Map<string, number[]>();
  await fetch('team/app:v1', {
    progress: {
      start(label) {
        const seen: number[] = [];
        bars.set(label, seen);
        return { update: (received, total) => seen.push(received, total ?? -1), end() {} };
      },
    },
  });
  expect(bars.size).toBe(4);
  for (const seen of bars.values()) expect(seen.at(-1)).toBe(seen.at(-2));
});

describe('a registry without TLS', () => {
  let plain: RegistryServer;
  beforeAll(async () => {
    plain = await RegistryServer.start({ tls: false });
    plain.push(`oci:${layout}:v1`, 'app:v1', '--dest-tls-verify=false');
  });
  afterAll(() => plain.stop());

  const take = (http: boolean) =>
    fetchDocker(store, parseDockerReference(`${plain.host}/app:v1`), {
      client: clientOf(http),
      pullPolicy: 'new',
      insecure: { image: true },
      warn: () => {},
    });
  function clientOf(http: boolean): HttpClient {
    return client({ insecure: { tls: false, http } });
  }

  test('is refused', async () => {
    await expect(take(false)).rejects.toMatchObject({ name: 'HttpError', code: 'tls' });
    expectEmptyStore();
  });

  test('is asked where the user says so', async () => {
    expect((await take(true)).key).toBe((await fromLayout(store)).key);
  });
});
