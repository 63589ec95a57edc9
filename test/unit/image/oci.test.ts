import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { storedImage } from '../../../src/cli/stored-image.ts';
import { HttpClient } from '../../../src/http/client.ts';
import { type PullPolicy, resolveImage } from '../../../src/image/resolve.ts';
import { openStore, type Store, type StoredImage } from '../../../src/image/store.ts';

/** Images made by umoci and converted by skopeo, once for all tests here. */
let made = '';
let scratch = '';
let store: Store;
let warnings: string[] = [];

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

beforeAll(() => {
  made = mkdtempSync(join(tmpdir(), 'oci-made-'));
  const layout = join(made, 'layout');
  const image = `${layout}:v1`;
  const bundle = join(made, 'bundle');
  const root = join(bundle, 'rootfs');
  const repack = () => run('umoci', 'repack', '--refresh-bundle', '--image', image, bundle);
  run('umoci', 'init', '--layout', layout);
  run('umoci', 'new', '--image', image);
  run('umoci', 'unpack', '--image', image, bundle);
  mkdirSync(join(root, 'dir'));
  for (const name of ['kept', 'gone', 'dir/below'])
    writeFileSync(join(root, name), `first ${name}`);
  repack();
  writeFileSync(join(root, 'kept'), 'second kept'.repeat(1000));
  repack();
  rmSync(join(root, 'gone'));
  repack();
  run(
    ...(['umoci', 'config', '--image', image, '--config.user', '5:6'] as const),
    ...['--config.cmd', '/kept', '--config.env', 'A=1', '--architecture', 'amd64', '--os', 'linux'],
  );
  run('umoci', 'config', '--image', image, '--tag', 'other', '--config.user', '7');
  run('skopeo', 'copy', '-q', `oci:${image}`, `oci-archive:${made}/oci.tar:v1`);
  run('skopeo', 'copy', '-q', `oci:${image}`, `docker-archive:${made}/docker.tar:busybox:v1`);
}, 60_000);
afterAll(() => rmSync(made, { recursive: true }));

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'oci-'));
  store = openStore(join(scratch, 'data'));
  warnings = [];
});
afterEach(() => rmSync(scratch, { recursive: true }));

function take(text: string, into = store): Promise<StoredImage> {
  return resolveImage(into, text, {
    pullPolicy: 'new',
    insecure: { image: true },
    warn: (line) => warnings.push(line),
  });
}

/** Nothing but what was there before may be left of a refused image. */
function expectEmptyStore(): void {
  expect(store.list()).toEqual([]);
  for (const part of ['tmp', 'image'] as const)
    expect(existsSync(store.path(part)) ? readdirSync(store.path(part)) : []).toEqual([]);
}

/** Trees that are a layer each; another one may correct the folders of their stack. */
const ofLayers = (ids: readonly string[] = []) => ids.filter((id) => id.startsWith('sha256-'));

const file = (image: StoredImage, layer: number, name: string) =>
  join(store.treeRoot(image.layers[layer] ?? 'none'), name);

describe('an image in three forms', () => {
  test('has one key and the same trees, each imported by itself', async () => {
    const forms = [
      `oci:${made}/layout:v1`,
      `oci-archive:${made}/oci.tar`,
      `docker-archive:${made}/docker.tar`,
    ];
    const found = [];
    for (const [n, form] of forms.entries()) {
      const { key, layers } = await take(form, openStore(join(scratch, `data-${n}`)));
      found.push({ key, layers });
    }
    expect(ofLayers(found[0]?.layers)).toHaveLength(3);
    expect(found[1]).toEqual(found[0]);
    expect(found[2]).toEqual(found[0]);
  });

  test('is told by its content from a plain path', async () => {
    const { key } = await take(`oci:${made}/layout:v1`);
    expect((await take(`${made}/oci.tar`)).key).toBe(key);
    expect((await take(`${made}/docker.tar`)).key).toBe(key);
    run('skopeo', 'copy', '-q', `oci:${made}/layout:v1`, `oci:${scratch}/single:v1`);
    expect((await take(`${scratch}/single`)).key).toBe(key);
  });

  test.each(['gzip', 'xz', 'zstd', 'bzip2'])(
    'is found in an archive compressed with %s',
    async (by) => {
      const path = join(scratch, 'archive.tar');
      for (const name of ['oci.tar', 'docker.tar']) {
        writeFileSync(path, execFileSync(by, ['-c', join(made, name)]));
        const { layers } = await take(path, openStore(join(scratch, name)));
        expect(ofLayers(layers)).toHaveLength(3);
        expect(readdirSync(join(scratch, name, 'cas/tmp'))).toEqual([]);
      }
    },
  );

  test('keeps the key that is the hash of its config', async () => {
    const { key } = await take(`oci:${made}/layout:v1`);
    const config = run('skopeo', 'inspect', '--config', '--raw', `oci:${made}/layout:v1`);
    writeFileSync(join(scratch, 'config'), config);
    const [hex = ''] = run('sha512sum', join(scratch, 'config')).split(' ');
    expect(key).toBe(`sha512-${hex.slice(0, 64)}`);
  });
});

describe('a stored image', () => {
  test('has its layers bottom first, as trees for overlayfs', async () => {
    const image = await take(`oci:${made}/layout:v1`);
    expect(readFileSync(file(image, 0, 'gone'), 'utf8')).toBe('first gone');
    expect(readFileSync(file(image, 1, 'kept'), 'utf8')).toMatch(/^second/);
    const whiteout = statSync(file(image, 2, 'gone'));
    expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0]);
  });

  test('has a manifest made of its config', async () => {
    const { manifest } = await take(`docker-archive:${made}/docker.tar`);
    expect(manifest).toMatchObject({
      name: 'registry-1.docker.io/library/busybox',
      app: { exec: ['/kept'], user: '5', group: '6', environment: [{ name: 'A', value: '1' }] },
    });
    expect(manifest.labels).toEqual([
      { name: 'version', value: 'v1' },
      { name: 'os', value: 'linux' },
      { name: 'arch', value: 'amd64' },
    ]);
  });

  test('of a layout is named by folder and tag', async () => {
    const { name, version } = await take(`oci:${made}/layout:v1`);
    expect([name, version]).toEqual(['layout', 'v1']);
  });

  test('of an archive with a whole name is named by it', async () => {
    run(
      ...(['skopeo', 'copy', '-q', `oci:${made}/layout:v1`] as const),
      `oci-archive:${scratch}/a.tar:quay.io/some/app:2`,
    );
    const { name, version } = await take(`oci-archive:${scratch}/a.tar`);
    expect([name, version]).toEqual(['quay.io/some/app', '2']);
  });

  test('shares the layers that another image has', async () => {
    const first = await take(`oci:${made}/layout:v1`);
    const second = await take(`oci:${made}/layout:other`);
    expect(second.key).not.toBe(first.key);
    expect(second.layers).toEqual(first.layers);
    expect(ofLayers(readdirSync(store.path('tree')))).toHaveLength(3);
  });

  test('that has a layer twice stacks it once, at its upper place', async () => {
    const path = join(scratch, 'twice.tar');
    const from = join(scratch, 'from');
    mkdirSync(from);
    run('tar', '-C', from, '-xf', join(made, 'docker.tar'));
    const [{ Config, Layers }] = JSON.parse(readFileSync(join(from, 'manifest.json'), 'utf8'));
    const config = JSON.parse(readFileSync(join(from, Config), 'utf8'));
    const [a, b] = config.rootfs.diff_ids;
    config.rootfs.diff_ids = [a, b, a];
    run('chmod', 'u+w', join(from, 'manifest.json'));
    writeFileSync(join(from, 'config'), JSON.stringify(config));
    const entry = { Config: 'config', RepoTags: null, Layers: [Layers[0], Layers[1], Layers[0]] };
    writeFileSync(join(from, 'manifest.json'), JSON.stringify([entry]));
    run('tar', '-C', from, '-cf', path, '.');
    const { layers } = await take(path);
    expect(layers).toEqual([b, a].map((id: string) => id.replace(':', '-')));
  });

  test('is not imported again while its layout is unchanged', async () => {
    const layout = join(scratch, 'layout');
    cpSync(join(made, 'layout'), layout, { recursive: true });
    while (Date.now() - statSync(join(layout, 'index.json')).ctimeMs < 30) await delay(5);
    const first = await take(`oci:${layout}:v1`);
    rmSync(join(layout, 'blobs'), { recursive: true });
    expect((await take(`oci:${layout}:v1`)).key).toBe(first.key);
  });
});

test.each([
  ['oci', 'layout:v1'],
  ['oci-archive', 'oci.tar'],
  ['docker-archive', 'docker.tar'],
])('%s is refused while nobody verified it, naming the option', async (kind, name) => {
  const options = { pullPolicy: 'new', insecure: { image: false }, warn: () => {} } as const;
  await expect(resolveImage(store, `${kind}:${made}/${name}`, options)).rejects.toMatchObject({
    code: 'untrusted',
    message: expect.stringContaining('--insecure-options=image'),
  });
  expectEmptyStore();
});

describe('a choice', () => {
  test('is by tag, and the tags are listed where none is given', async () => {
    await expect(take(`oci:${made}/layout`)).rejects.toMatchObject({
      code: 'ambiguous',
      message: expect.stringMatching(/v1.*other/),
    });
  });

  test('among the images of docker save is by name', async () => {
    const path = join(scratch, 'two.tar');
    const from = join(scratch, 'from');
    mkdirSync(from);
    run('tar', '-C', from, '-xf', join(made, 'docker.tar'));
    run('chmod', 'u+w', join(from, 'manifest.json'));
    const list = JSON.parse(readFileSync(join(from, 'manifest.json'), 'utf8'));
    const twice = [list[0], { ...list[0], RepoTags: ['quay.io/a/b:2'] }];
    writeFileSync(join(from, 'manifest.json'), JSON.stringify(twice));
    run('tar', '-C', from, '-cf', path, '.');

    await expect(take(`docker-archive:${path}`)).rejects.toMatchObject({
      code: 'ambiguous',
      message: expect.stringMatching(/busybox:v1.*quay.io\/a\/b:2/),
    });
    await expect(take(`docker-archive:${path}:nothing`)).rejects.toMatchObject({
      code: 'not-found',
    });
    expect(await take(`docker-archive:${path}:quay.io/a/b:2`)).toMatchObject({
      name: 'quay.io/a/b',
      version: '2',
    });
  });

  test('among platforms is that of the host', async () => {
    const layout = join(scratch, 'layout');
    cpSync(join(made, 'layout'), layout, { recursive: true });
    const arm = `${layout}:v1`;
    run('umoci', 'config', '--image', arm, '--tag', 'arm', '--architecture', 'arm64');
    const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
    const pick = (tag: string, architecture: string) => {
      const [found] = index.manifests.filter(
        (each: { annotations: Record<string, string> }) =>
          each.annotations['org.opencontainers.image.ref.name'] === tag,
      );
      const { annotations: _, ...descriptor } = found;
      return { ...descriptor, platform: { os: 'linux', architecture } };
    };
    const manifests = [pick('arm', 'arm64'), pick('v1', 'amd64')];
    writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));

    const { key } = await take(`oci:${layout}`);
    expect(key).toBe((await take(`oci:${made}/layout:v1`)).key);
  });

  test('of what docker save of today writes reads the blobs of its layout', async () => {
    const from = join(scratch, 'from');
    cpSync(join(made, 'layout'), from, { recursive: true });
    const index = JSON.parse(readFileSync(join(from, 'index.json'), 'utf8'));
    const blob = (digest: string) => `blobs/${digest.replace(':', '/')}`;
    const manifest = JSON.parse(readFileSync(join(from, blob(index.manifests[0].digest)), 'utf8'));
    const entry = {
      Config: blob(manifest.config.digest),
      RepoTags: ['app:1'],
      Layers: manifest.layers.map(({ digest }: { digest: string }) => blob(digest)),
    };
    writeFileSync(join(from, 'manifest.json'), JSON.stringify([entry]));
    const path = join(scratch, 'save.tar');
    run('tar', '-C', from, '-cf', path, 'blobs', 'index.json', 'manifest.json', 'oci-layout');
    const { name, layers } = await take(`docker-archive:${path}`);
    expect(name).toBe('registry-1.docker.io/library/app');
    expect(layers).toEqual((await take(`oci:${made}/layout:v1`)).layers);
  });
});

describe('a flipped byte', () => {
  /** Flips one byte of a file in the middle of where `part` stands in it. */
  function flip(path: string, part: Buffer): void {
    const bytes = readFileSync(path);
    const at = bytes.indexOf(part) + (part.length >> 1);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    run('chmod', 'u+w', path);
    writeFileSync(path, bytes);
  }

  function layerDigests(): string[] {
    const raw = run('skopeo', 'inspect', '--raw', `oci:${made}/layout:v1`);
    return JSON.parse(raw).layers.map(({ digest }: { digest: string }) => digest);
  }

  test.each([0, 1, 2])('in layer %i of a layout is refused, naming the digest', async (n) => {
    const layout = join(scratch, 'layout');
    cpSync(join(made, 'layout'), layout, { recursive: true });
    const digest = layerDigests()[n] ?? '';
    const path = join(layout, 'blobs', digest.replace(':', '/'));
    flip(path, readFileSync(path));
    await expect(take(`oci:${layout}:v1`)).rejects.toMatchObject({
      name: 'ImageError',
      message: expect.stringContaining(digest),
    });
    expectEmptyStore();
  });

  test('in a layer of an oci-archive is refused, naming the digest', async () => {
    const path = join(scratch, 'oci.tar');
    copyFileSync(join(made, 'oci.tar'), path);
    const digest = layerDigests()[1] ?? '';
    flip(path, readFileSync(join(made, 'layout/blobs', digest.replace(':', '/'))));
    await expect(take(path)).rejects.toMatchObject({ message: expect.stringContaining(digest) });
    expectEmptyStore();
  });

  test('in a layer of a docker-archive is refused, naming the diff id', async () => {
    const path = join(scratch, 'docker.tar');
    copyFileSync(join(made, 'docker.tar'), path);
    flip(path, Buffer.from('second kept'.repeat(1000)));
    await expect(take(path)).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringMatching(/docker\.tar.*diff id is sha256:[0-9a-f]{64}, not sha256:/),
    });
    expectEmptyStore();
  });

  test('in the config of a docker-archive is refused', async () => {
    const path = join(scratch, 'docker.tar');
    copyFileSync(join(made, 'docker.tar'), path);
    const config = run('skopeo', 'inspect', '--config', '--raw', `oci:${made}/layout:v1`);
    flip(path, Buffer.from(config.trim()));
    await expect(take(path)).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringMatching(/config.*has digest/),
    });
    expectEmptyStore();
  });
});

describe('a damaged archive', () => {
  test.each(['oci.tar', 'docker.tar'])('%s that is truncated is refused', async (name) => {
    const path = join(scratch, name);
    const bytes = readFileSync(join(made, name));
    writeFileSync(path, bytes.subarray(0, 1300));
    await expect(take(path)).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringContaining(path),
    });
    expectEmptyStore();
  });

  test('of which a compressed part is missing is refused, and leaves nothing', async () => {
    const path = join(scratch, 'oci.tar.gz');
    const bytes = execFileSync('gzip', ['-c', join(made, 'oci.tar')]);
    writeFileSync(path, bytes.subarray(0, bytes.length - 20));
    await expect(take(path)).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringMatching(/oci\.tar\.gz.*truncated/),
    });
    expectEmptyStore();
  });
});

describe('an archive that docker save tagged with a short name', () => {
  const hub = 'registry-1.docker.io/library/busybox';

  test.each(['busybox', 'busybox:v1', 'docker.io/library/busybox:v1', `${hub}:v1`])(
    'is found as %s',
    async (text) => {
      const { key, name } = await take(`docker-archive:${made}/docker.tar`);
      expect(name).toBe(hub);
      expect((await take(text)).key).toBe(key);
      expect(storedImage(store, text).key).toBe(key);
    },
  );

  test.each(['new', 'never'] as const)(
    'is found as docker://busybox:v1 with the pull policy %s, and no other tag',
    async (pullPolicy) => {
      const { key } = await take(`docker-archive:${made}/docker.tar`);
      const client = new HttpClient({ auth: new Map(), insecure: { tls: false, http: false } });
      const find = (text: string, policy: PullPolicy = pullPolicy) =>
        resolveImage(store, text, {
          pullPolicy: policy,
          insecure: { image: false },
          warn: () => {},
          client,
        });
      expect((await find('docker://busybox:v1')).key).toBe(key);
      expect((await find('docker://docker.io/library/busybox:v1')).key).toBe(key);
      await expect(find('docker://busybox:v2', 'never')).rejects.toMatchObject({
        code: 'not-found',
      });
      await expect(find('docker://other/busybox:v1', 'never')).rejects.toThrow();
      await client.close();
    },
  );

  test('is not found under another name', async () => {
    await take(`docker-archive:${made}/docker.tar`);
    for (const text of ['busybox:v2', 'other/busybox:v1', 'example.com/library/busybox:v1'])
      await expect(take(text)).rejects.toMatchObject({ code: 'not-found' });
  });
});
