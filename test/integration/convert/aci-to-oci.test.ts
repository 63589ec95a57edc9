import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseImageManifest } from '../../../src/appc/parse.ts';
import { runLine } from '../../unit/cli/helpers.ts';
import { look, makeTree, run } from './trees.ts';

const manifest = {
  acKind: 'ImageManifest',
  acVersion: '0.8.11',
  name: 'example.com/app',
  labels: [
    { name: 'version', value: '1.0' },
    { name: 'os', value: 'linux' },
    { name: 'arch', value: 'amd64' },
    { name: 'channel', value: 'beta' },
  ],
  app: {
    exec: ['/bin/tool', '', 'with space'],
    user: '1234',
    group: '70000',
    supplementaryGIDs: [5],
    workingDirectory: '/etc',
    environment: [{ name: 'A', value: 'b=c' }],
    eventHandlers: [{ name: 'pre-start', exec: ['/bin/tool'] }],
    mountPoints: [{ name: 'data', path: '/data', readOnly: true }],
    ports: [{ name: 'web', protocol: 'tcp', port: 80, count: 2, socketActivated: true }],
    isolators: [{ name: 'resource/memory', value: { limit: '1G' } }],
    userAnnotations: { note: 'kept' },
    userLabels: { team: 'infra' },
  },
  annotations: [
    { name: 'created', value: '2020-01-01T00:00:00Z' },
    { name: 'authors', value: 'A. Author' },
    { name: 'homepage', value: 'https://example.com' },
  ],
};

let scratch = '';
const path = (name: string) => join(scratch, name);
const rkt = (...argv: string[]) =>
  runLine(`--dir=${path('data')}`, '--insecure-options=image', ...argv);

async function convert(...argv: string[]): Promise<{ stdout: string; stderr: string }> {
  const result = await rkt('image', 'convert', ...argv);
  if (result.code !== 0) throw new Error(result.stderr);
  return result;
}

const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
const manifestOf = (aci: string) => parseImageManifest(run('tar', '-xOf', aci, 'manifest'));

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'rkt-convert-'));
  mkdirSync(path('source/rootfs'), { recursive: true });
  makeTree(path('source/rootfs'));
  writeFileSync(path('source/manifest'), JSON.stringify(manifest));
  expect(await rkt('image', 'build', path('source'), path('app.aci'))).toMatchObject({ code: 0 });
  await convert(path('app.aci'), `oci:${path('layout')}:v1`);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test('umoci unpacks the layout to the same tree', () => {
  run('umoci', 'unpack', '--image', `${path('layout')}:v1`, path('bundle'));
  expect(look(path('bundle/rootfs'))).toEqual(look(path('source/rootfs')));
});

test('skopeo reads all that OCI can say of the image', () => {
  const image = JSON.parse(run('skopeo', 'inspect', '--config', `oci:${path('layout')}:v1`));
  expect(image).toMatchObject({
    created: '2020-01-01T00:00:00Z',
    author: 'A. Author',
    architecture: 'amd64',
    os: 'linux',
    config: {
      User: '1234:70000',
      ExposedPorts: { '80/tcp': {}, '81/tcp': {} },
      Env: ['A=b=c'],
      Entrypoint: ['/bin/tool', '', 'with space'],
      Volumes: { '/data': {} },
      WorkingDir: '/etc',
      Labels: { team: 'infra' },
    },
  });
});

test('a warning names what OCI has no place for', async () => {
  const { stderr } = await convert(path('app.aci'), path('warned'));
  for (const thing of ['isolators', 'event handlers', 'supplementary groups', 'read-only mount'])
    expect(stderr).toContain(thing);
});

test('the tag is that of OUT, else the version', async () => {
  await convert(path('app.aci'), path('untagged'));
  expect(run('umoci', 'list', '--layout', path('untagged'))).toBe('1.0\n');
  expect(run('umoci', 'list', '--layout', path('layout'))).toBe('v1\n');
});

test('an archive is the same image, and skopeo copies it', async () => {
  const { stdout } = await convert(path('app.aci'), `oci-archive:${path('app.tar')}:v1`);
  run('skopeo', 'copy', '-q', `oci-archive:${path('app.tar')}:v1`, `oci:${path('copied')}:v1`);
  for (const folder of ['layout', 'copied'])
    expect(JSON.parse(run('skopeo', 'inspect', `oci:${path(folder)}:v1`)).Digest).toBe(
      stdout.trim(),
    );
});

test('the same image gives the same bytes in two stores', async () => {
  for (const n of [1, 2]) {
    const to = `oci-archive:${path(`same-${n}.tar`)}`;
    const again = ['image', 'convert', path('app.aci'), to];
    await runLine(`--dir=${path(`data-${n}`)}`, '--insecure-options=image', ...again);
  }
  expect(digest(path('same-1.tar'))).toBe(digest(path('same-2.tar')));
});

test.each(['none', 'gzip', 'zstd'])('a layer compressed with %s is valid', async (compression) => {
  const layout = path(`layout-${compression}`);
  await convert('--compression', compression, path('app.aci'), layout);
  expect(await rkt('image', 'validate', layout)).toMatchObject({ code: 0 });
  const raw = JSON.parse(run('skopeo', 'inspect', '--raw', `oci:${layout}`));
  const suffix = compression === 'none' ? 'tar' : `tar+${compression}`;
  expect(raw.layers[0].mediaType).toBe(`application/vnd.oci.image.layer.v1.${suffix}`);
});

describe('converted back to an ACI', () => {
  test('it has the same manifest and tree', async () => {
    await convert(`oci:${path('layout')}:v1`, path('back.aci'));
    expect(manifestOf(path('back.aci'))).toEqual(manifestOf(path('app.aci')));
    mkdirSync(path('back'));
    const exact = ['--xattrs', '--xattrs-include=*', '--same-owner', '-p'];
    run('tar', '-C', path('back'), ...exact, '-xf', path('back.aci'));
    expect(look(path('back/rootfs'))).toEqual(look(path('source/rootfs')));
  });

  test('it has what somebody changed meanwhile, and a warning says so', async () => {
    run('skopeo', 'copy', '-q', `oci:${path('layout')}:v1`, `oci:${path('changed')}:v1`);
    run('umoci', 'config', '--image', `${path('changed')}:v1`, '--config.user', '9:9');
    const { stderr } = await convert(`oci:${path('changed')}:v1`, path('changed.aci'));
    const { app } = manifestOf(path('changed.aci'));
    expect(app).toMatchObject({ user: '9', group: '9', userLabels: { team: 'infra' } });
    expect(app?.userLabels).not.toHaveProperty('io.rkt.appc.manifest');
    expect(stderr).toContain('the label io.rkt.appc.manifest is not used');
  });
});

test('an image that depends on another becomes one that holds both', async () => {
  mkdirSync(path('above/rootfs/etc'), { recursive: true });
  writeFileSync(path('above/rootfs/etc/noted'), 'replaced');
  const dependencies = [{ imageName: manifest.name }];
  const above = { ...manifest, name: 'example.com/above', dependencies };
  writeFileSync(path('above/manifest'), JSON.stringify(above));
  await rkt('image', 'build', path('above'), path('above.aci'));
  await convert(path('above.aci'), path('above-layout'));
  run('umoci', 'unpack', '--image', `${path('above-layout')}:1.0`, path('above-bundle'));
  expect(readFileSync(path('above-bundle/rootfs/etc/noted'), 'utf8')).toBe('replaced');
  expect(readFileSync(path('above-bundle/rootfs/bin/able'), 'utf8')).toBe('binary');
  await convert(path('above-layout'), path('above-back.aci'));
  expect(manifestOf(path('above-back.aci'))).toMatchObject({
    name: 'example.com/above',
    dependencies: [],
  });
});
