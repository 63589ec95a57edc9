import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { firstDifference } from '../../../src/image/compare-trees.ts';
import { runLine } from '../../unit/cli/helpers.ts';

/** Debian as mmdebstrap made it for the test hosts, with layers above that change it. */
let scratch = '';
const path = (name: string) => join(scratch, name);

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function addLayer(tar: string): void {
  run('umoci', 'raw', 'add-layer', '--image', `${path('layout')}:v1`, tar);
}

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'rkt-debian-'));
  const hosts = fileURLToPath(new URL('../../hosts/image', import.meta.url));
  const debian = run(hosts, 'root').trim();
  run('umoci', 'init', '--layout', path('layout'));
  run('umoci', 'new', '--image', `${path('layout')}:v1`);
  addLayer(debian);
  const top = path('top');
  for (const name of ['usr/share/doc', 'etc/apt', 'var/log', 'opt'])
    mkdirSync(join(top, name), { recursive: true });
  writeFileSync(join(top, 'usr/share/doc/.wh..wh..opq'), '');
  writeFileSync(join(top, 'etc/.wh.apt'), '');
  rmSync(join(top, 'etc/apt'), { recursive: true });
  writeFileSync(join(top, 'etc/hostname'), 'layered\n');
  writeFileSync(join(top, 'var/log/new'), 'x');
  writeFileSync(join(top, 'opt/.wh.none'), '');
  // Files alone, so that folders are only implied.
  const files = ['usr/share/doc/.wh..wh..opq', 'etc/.wh.apt', 'etc/hostname', 'var/log/new'];
  run('tar', '-C', top, '-cf', path('top.tar'), ...files, 'opt/.wh.none');
  addLayer(path('top.tar'));
  run('umoci', 'config', '--image', `${path('layout')}:v1`, '--config.cmd', '/bin/sh');
}, 600_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test('Debian under a layer that replaces, deletes and hides is what umoci makes of it', async () => {
  const rkt = (...argv: string[]) =>
    runLine(`--dir=${path('data')}`, '--insecure-options=image', ...argv);
  const fetched = await rkt('fetch', '--full', `oci:${path('layout')}:v1`);
  expect(fetched.stderr).not.toContain('error');
  const key = fetched.stdout.trim();
  expect((await rkt('image', 'render', '--rootfs-only', key, path('rkt'))).code).toBe(0);
  run('umoci', 'unpack', '--image', `${path('layout')}:v1`, path('bundle'));
  expect(await firstDifference(path('bundle/rootfs'), path('rkt'))).toBeUndefined();
  expect((await rkt('image', 'verify', key)).stdout).toMatch(/^successfully verified/);
}, 600_000);
