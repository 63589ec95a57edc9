import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { validateImageManifest } from '../../../src/appc/parse.ts';
import type { App, ImageManifest, NameValue } from '../../../src/appc/types.ts';
import { parseConvertTarget } from '../../../src/image/convert.ts';
import { manifestLabel, ociConfigOf, restoredManifest } from '../../../src/image/convert-config.ts';
import { imageManifestOf } from '../../../src/image/oci-config.ts';
import { parseConfig } from '../../../src/image/oci-schema.ts';
import { runLine } from '../cli/helpers.ts';
import { scratchFolder } from './scratch.ts';
import { aci } from './tar-maker.ts';

const diffIds = [`sha256:${'0'.repeat(64)}`];

function imageWith(more: {
  app?: Partial<App>;
  labels?: NameValue[];
  annotations?: NameValue[];
}): ImageManifest {
  return validateImageManifest({
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name: 'example.com/app',
    labels: more.labels ?? [
      { name: 'os', value: 'linux' },
      { name: 'arch', value: 'amd64' },
    ],
    app: { exec: ['/a'], user: '0', group: '0', ...more.app },
    annotations: more.annotations ?? [],
  });
}

function configOf(manifest: ImageManifest, ownerOfPath = (): undefined => undefined) {
  const { config, warnings } = ociConfigOf({ manifest, diffIds, ownerOfPath });
  return { ...JSON.parse(config.toString()), bytes: config, warnings };
}

describe('OUT', () => {
  test.each([
    ['/a/b.aci', { kind: 'aci', path: '/a/b.aci' }],
    ['/a/b:c.aci', { kind: 'aci', path: '/a/b:c.aci' }],
    ['/a/layout', { kind: 'oci', path: '/a/layout' }],
    ['oci:/a', { kind: 'oci', path: '/a' }],
    ['oci:/a:v1.0', { kind: 'oci', path: '/a', tag: 'v1.0' }],
    ['oci-archive:/a.tar:b/c:1', { kind: 'oci-archive', path: '/a.tar', tag: 'b/c:1' }],
  ])('%s is understood', (text, target) => {
    expect(parseConvertTarget(text)).toEqual(target);
  });

  test.each([
    ['', 'it is empty'],
    ['oci:', 'a path must follow oci:'],
    ['oci:/a:', '"" is no tag'],
    ['oci:/a:-x', '"-x" is no tag'],
    ['docker://busybox', 'it must be a FILE.aci, a folder'],
    ['docker-archive:/a.tar', 'it must be a FILE.aci, a folder'],
    ['image.tar', 'for an archive say oci-archive:image.tar'],
  ])('%j is refused', (text, why) => {
    expect(() => parseConvertTarget(text)).toThrow(why);
  });
});

describe('the architecture', () => {
  test.each([
    ['i386', '386', undefined],
    ['aarch64', 'arm64', undefined],
    ['aarch64_be', 'arm64be', undefined],
    ['armv6l', 'arm', 'v6'],
    ['armv7l', 'arm', 'v7'],
    ['armv7b', 'armbe', 'v7'],
    ['ppc64le', 'ppc64le', undefined],
    ['s390x', 's390x', undefined],
  ])('%s is %s %s, and %s again', (arch, architecture, variant) => {
    const labels = [
      { name: 'os', value: 'linux' },
      { name: 'arch', value: arch },
    ];
    const found = configOf(imageWith({ labels }));
    expect([found.architecture, found.variant]).toEqual([architecture, variant]);
    const origin = { where: 'x', name: 'x', annotations: [] };
    const { manifest } = imageManifestOf(parseConfig(found.bytes, 'x'), origin);
    expect(manifest.labels).toEqual(labels);
  });

  test("that is not said is the host's, with a warning", () => {
    const { os, warnings } = configOf(imageWith({ labels: [] }));
    expect(os).toBe('linux');
    expect(warnings).toEqual([expect.stringContaining('no label os')]);
  });
});

describe('the user', () => {
  test('is user and group', () => {
    expect(configOf(imageWith({ app: { user: 'u', group: 'g' } })).config.User).toBe('u:g');
  });

  test('that is the owner of a path is that owner', () => {
    const manifest = imageWith({ app: { user: '/f', group: '/f' } });
    const request = { manifest, diffIds, ownerOfPath: () => ({ uid: 5, gid: 6 }) };
    expect(JSON.parse(ociConfigOf(request).config.toString()).config.User).toBe('5:6');
  });

  test('that is the owner of a path that is not there is refused', () => {
    expect(() => configOf(imageWith({ app: { user: '/f' } }))).toThrow(
      /example.com\/app.*owner of \/f.*no such path/,
    );
  });
});

describe('the command', () => {
  const dockered = (exec: string[]) =>
    configOf(
      imageWith({
        app: { exec },
        annotations: [
          { name: 'appc.io/docker/entrypoint', value: '["/a"]' },
          { name: 'appc.io/docker/cmd', value: '["b"]' },
        ],
      }),
    ).config;

  test('is Entrypoint and Cmd as it was', () => {
    expect(dockered(['/a', 'b'])).toMatchObject({ Entrypoint: ['/a'], Cmd: ['b'] });
  });

  test('is Entrypoint when it was changed since', () => {
    expect(dockered(['/a', 'c'])).toMatchObject({ Entrypoint: ['/a', 'c'] });
    expect(dockered(['/a', 'c'])).not.toHaveProperty('Cmd');
  });
});

test('a creation date that no calendar has is left out, with a warning', () => {
  const annotations = [{ name: 'created', value: '2020-02-30T00:00:00Z' }];
  const { created, warnings } = configOf(imageWith({ annotations }));
  expect(created).toBeUndefined();
  expect(warnings).toEqual([expect.stringContaining('2020-02-30')]);
});

describe('the manifest in the label', () => {
  const original = imageWith({ app: { isolators: [{ name: 'example.com/own', value: 1 }] } });
  const converted = (change: (config: { config: Record<string, unknown> }) => void = () => {}) => {
    const value = JSON.parse(configOf(original).bytes.toString());
    change(value);
    const bytes = Buffer.from(JSON.stringify(value));
    const origin = { where: 'x', name: 'x', annotations: [] };
    const { manifest } = imageManifestOf(parseConfig(bytes, 'x'), origin);
    return restoredManifest(manifest, bytes, () => undefined);
  };

  test('comes back', () => {
    expect(converted()).toEqual({ manifest: original, warnings: [] });
  });

  test('comes back from a config whose members stand in another order', () => {
    const turned = converted((value) => {
      value.config = Object.fromEntries(Object.entries(value.config).reverse());
    });
    expect(turned.manifest).toEqual(original);
  });

  test.each([
    [
      'command',
      (value: { config: Record<string, unknown> }) => (value.config['Entrypoint'] = ['/b']),
    ],
    [
      'label',
      (value: { config: Record<string, unknown> }) =>
        (value.config['Labels'] = { ...(value.config['Labels'] ?? {}), a: 'b' }),
    ],
    [
      'manifest',
      (value: { config: Record<string, unknown> }) =>
        (value.config['Labels'] = { [manifestLabel]: '{' }),
    ],
  ])('does not come back with another %s', (_, change) => {
    const { manifest, warnings } = converted(change);
    expect(manifest.name).toBe('x');
    expect(manifest.app?.userLabels).not.toHaveProperty(manifestLabel);
    expect(warnings).toHaveLength(1);
  });
});

describe('rkt image convert', () => {
  let folder = '';
  let from = '';
  beforeEach(() => {
    folder = scratchFolder();
    from = join(folder, 'from.aci');
    writeFileSync(from, aci([{ name: 'rootfs/file', content: 'x' }]));
  });

  const path = (name: string) => join(folder, name);
  const convert = (...argv: string[]) =>
    runLine(`--dir=${folder}/data`, '--insecure-options=image', 'image', 'convert', ...argv);
  const left = () => readdirSync(folder).sort();
  /** Everything in a folder: names and content. */
  const state = (name: string) =>
    execFileSync('find', [path(name), '-type', 'f', '-exec', 'sha256sum', '{}', '+'], {
      encoding: 'utf8',
    });

  async function refused(why: string, ...argv: string[]): Promise<void> {
    const { code, stdout, stderr } = await convert(...argv);
    const lines = stderr
      .trimEnd()
      .split('\n')
      .filter((line) => !line.includes('unverified'));
    expect([code, stdout]).toEqual([254, '']);
    expect(lines).toEqual([expect.stringContaining(why)]);
  }

  test('keeps a file that is there, and replaces it with --overwrite', async () => {
    writeFileSync(path('out.aci'), 'mine');
    await refused('exists; use --overwrite', from, path('out.aci'));
    expect(readFileSync(path('out.aci'), 'utf8')).toBe('mine');
    const { code, stdout } = await convert(
      '--overwrite',
      '--compression=none',
      from,
      path('out.aci'),
    );
    expect(code).toBe(0);
    const hash = createHash('sha512')
      .update(readFileSync(path('out.aci')))
      .digest('hex');
    expect(stdout).toBe(`sha512-${hash.slice(0, 64)}\n`);
  });

  test('keeps a layout that is there, and replaces it with --overwrite', async () => {
    await convert(from, `oci:${path('layout')}:one`);
    const before = state('layout');
    await refused('exists; use --overwrite', from, `oci:${path('layout')}:two`);
    expect(state('layout')).toBe(before);
    expect(await convert('--overwrite', from, `oci:${path('layout')}:two`)).toMatchObject({
      code: 0,
    });
    expect(readFileSync(path('layout/index.json'), 'utf8')).toContain('"two"');
    expect(left()).toEqual(['data', 'from.aci', 'layout']);
  });

  test('fills an empty folder', async () => {
    mkdirSync(path('layout'));
    expect(await convert(from, path('layout'))).toMatchObject({ code: 0 });
  });

  test('never replaces a folder that is no layout, nor a link', async () => {
    mkdirSync(path('mine'));
    writeFileSync(path('mine/file'), 'x');
    await refused('it is no OCI layout', '--overwrite', from, path('mine'));
    symlinkSync('mine', path('link'));
    await refused('it is no OCI layout', '--overwrite', from, path('link'));
    symlinkSync('from.aci', path('link.aci'));
    await refused('no regular file', '--overwrite', from, path('link.aci'));
    expect(readdirSync(path('mine'))).toEqual(['file']);
  });

  test('has one clear line for each bad input', async () => {
    await refused('no folder', from, path('none/out.aci'));
    await refused('OCI knows no layers compressed with xz', '--compression=xz', from, path('x'));
    await refused('no such file', path('none.aci'), path('x'));
    await refused('docker://x', from, 'docker://x');
    writeFileSync(path('bad.aci'), 'no image');
    await refused('unknown type', path('bad.aci'), path('x'));
    expect(left()).toEqual(['bad.aci', 'data', 'from.aci']);
    expect(readdirSync(path('data/cas/tmp'))).toEqual([]);
  });

  test('takes the key and the name of a stored image', async () => {
    await convert(from, path('first'));
    const [key = ''] = readdirSync(path('data/cas/image'));
    expect(await convert(key, path('by-key'))).toMatchObject({
      code: 0,
      stderr: expect.not.stringContaining('unverified'),
    });
    expect(
      await convert('--pull-policy=never', 'example.com/test,os=linux,arch=amd64', path('by-name')),
    ).toMatchObject({ code: 0 });
    expect(state('by-key').replaceAll('by-key', 'first')).toBe(state('first'));
  });
});
