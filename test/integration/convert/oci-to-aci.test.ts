import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseImageManifest } from '../../../src/appc/parse.ts';
import { runLine } from '../../unit/cli/helpers.ts';
import { date, look, makeTree, run } from './trees.ts';

/** Layers that replace, white out and mark opaque each other's files, made by hand and by umoci. */
let scratch = '';
const path = (name: string) => join(scratch, name);
const image = () => `oci:${path('layout')}:v1`;

function rkt(data: string, ...argv: string[]) {
  return runLine(`--dir=${path(data)}`, '--insecure-options=image', ...argv);
}

async function convert(...argv: string[]): Promise<string> {
  const result = await rkt('data', 'image', 'convert', ...argv);
  if (result.code !== 0) throw new Error(result.stderr);
  return result.stdout.trim();
}

function unpacked(aci: string): string {
  const folder = mkdtempSync(path('unpacked-'));
  const exact = ['--xattrs', '--xattrs-include=*', '--same-owner', '-p'];
  run('tar', '-C', folder, ...exact, '-xf', aci);
  return join(folder, 'rootfs');
}

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'rkt-convert-'));
  const first = path('first');
  makeTree(first);
  for (const name of ['opaque/sub', 'gone']) mkdirSync(join(first, name), { recursive: true });
  for (const name of ['opaque/old', 'opaque/sub/old', 'gone/file', 'etc/removed'])
    writeFileSync(join(first, name), 'first');
  writeFileSync(join(first, 'becomes-folder'), 'first');
  date(first);
  const second = path('second');
  for (const name of ['opaque/sub', 'etc', 'becomes-folder', 'bin'])
    mkdirSync(join(second, name), { recursive: true });
  writeFileSync(join(second, 'opaque/.wh..wh..opq'), '');
  writeFileSync(join(second, 'opaque/sub/new'), 'second');
  writeFileSync(join(second, '.wh.gone'), '');
  writeFileSync(join(second, 'etc/.wh.removed'), '');
  writeFileSync(join(second, 'etc/noted'), 'second', { mode: 0o640 });
  writeFileSync(join(second, 'becomes-folder/inside'), 'second');
  // A hard link with one name replaced; a whiteout of what no layer has.
  writeFileSync(join(second, 'bin/hard'), 'second');
  writeFileSync(join(second, 'bin/.wh.never-there'), '');
  date(second, '2021-01-01T01:01:01.5Z');

  run('umoci', 'init', '--layout', path('layout'));
  run('umoci', 'new', '--image', `${path('layout')}:v1`);
  for (const name of ['first', 'second']) {
    const tar = path(`${name}.tar`);
    const exact = ['--format=posix', '--xattrs', '--xattrs-include=*', '--acls', '--sort=name'];
    run('tar', '-C', path(name), ...exact, '-cf', tar, '.');
    run('umoci', 'raw', 'add-layer', '--image', `${path('layout')}:v1`, tar);
  }
  run(
    ...(['umoci', 'config', '--image', `${path('layout')}:v1`] as const),
    ...['--config.entrypoint', '/bin/tool', '--config.cmd', 'run', '--config.user', '2'],
    ...['--architecture', 'amd64', '--os', 'linux'],
  );
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test('the ACI has exactly the tree that umoci makes of the layers', async () => {
  await convert(image(), path('image.aci'));
  run('umoci', 'unpack', '--image', `${path('layout')}:v1`, path('bundle'));
  const found = look(unpacked(path('image.aci')));
  expect(found).toEqual(look(path('bundle/rootfs')));
  const names = found.map((line) => line.split(' ')[0]);
  expect(names).toEqual(expect.arrayContaining(['/opaque/sub/new', '/becomes-folder/inside']));
  expect(names.filter((name) => /\/old|gone|removed|never|\.wh\./.test(name ?? ''))).toEqual([]);
});

test('the ACI is valid, and is what its key says', async () => {
  const key = await convert(image(), '--compression=none', path('keyed.aci'));
  expect(await rkt('data', 'image', 'validate', path('keyed.aci'))).toMatchObject({ code: 0 });
  const hash = createHash('sha512')
    .update(readFileSync(path('keyed.aci')))
    .digest('hex');
  expect(key).toBe(`sha512-${hash.slice(0, 64)}`);
});

test('the same image gives the same ACI in two stores', async () => {
  const keys = [];
  for (const n of [1, 2]) {
    const argv = ['image', 'convert', image(), path(`same-${n}.aci`)];
    keys.push((await rkt(`data-${n}`, ...argv)).stdout);
  }
  expect(keys[0]).toMatch(/^sha512-[0-9a-f]{64}\n$/);
  expect(keys[1]).toBe(keys[0]);
});

test('to OCI it keeps its config and its layers as they are', async () => {
  const before = JSON.parse(run('skopeo', 'inspect', '--raw', image()));
  await convert(image(), `oci:${path('kept')}:v1`);
  const after = JSON.parse(run('skopeo', 'inspect', '--raw', `oci:${path('kept')}:v1`));
  expect(after.config.digest).toBe(before.config.digest);
  expect(after.layers.map(({ digest }: { digest: string }) => digest)).toEqual(
    before.layers.map(({ digest }: { digest: string }) => digest),
  );
  expect(await rkt('data', 'image', 'validate', path('kept'))).toMatchObject({ code: 0 });
});

test('to an ACI and back it has its Entrypoint, Cmd and User again', async () => {
  await convert(image(), path('there.aci'));
  const { app } = parseImageManifest(run('tar', '-xOf', path('there.aci'), 'manifest'));
  expect(app).toMatchObject({ exec: ['/bin/tool', 'run'], user: '2', group: '2' });
  await convert(path('there.aci'), path('back'));
  const config = JSON.parse(run('skopeo', 'inspect', '--config', `oci:${path('back')}`)).config;
  expect(config).toMatchObject({ Entrypoint: ['/bin/tool'], Cmd: ['run'], User: '2' });
});

test('a single layer with whiteouts has no trace of them', async () => {
  const layout = path('single');
  run('umoci', 'init', '--layout', layout);
  run('umoci', 'new', '--image', `${layout}:v1`);
  run('umoci', 'raw', 'add-layer', '--image', `${layout}:v1`, path('second.tar'));
  run('umoci', 'config', '--image', `${layout}:v1`, '--architecture', 'amd64', '--os', 'linux');
  await convert(`oci:${layout}:v1`, path('single.aci'));
  const members = run('tar', '-tf', path('single.aci')).split('\n');
  expect(members).toContain('rootfs/opaque/sub/new');
  expect(members.filter((name) => /gone|removed|never|\.wh\./.test(name))).toEqual([]);
});

test('a layer that was damaged in the store is found out, and nothing is written', async () => {
  expect((await rkt('hurt', 'image', 'import', image())).code).toBe(0);
  run('sh', '-c', `for f in ${path('hurt')}/cas/blob/sha256-*; do printf x >> "$f"; done`);
  const to = path('from-damaged');
  const { code, stderr } = await rkt('hurt', 'image', 'convert', image(), to);
  expect(code).toBe(254);
  expect(stderr).toMatch(/layer sha256:[0-9a-f]{64} is damaged in the store; rkt image verify/);
  expect(run('ls', '-A', scratch)).not.toContain('from-damaged');
});
