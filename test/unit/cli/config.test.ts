import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runLine } from './helpers.ts';

let scratch = '';
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'rkt-config-'));
});
afterEach(() => rmSync(scratch, { recursive: true }));

const folders: Record<string, string> = {
  auth: 'auth.d',
  dockerAuth: 'auth.d',
  paths: 'paths.d',
  stage1: 'stage1.d',
};

interface Entry {
  readonly rktKind: string;
}

/** Writes entries into the folders of a root, a file each; gives the root. */
function root(name: string, entries: readonly Entry[]): string {
  entries.forEach((entry, n) => {
    const folder = join(scratch, name, folders[entry.rktKind] ?? '');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${n}.json`), JSON.stringify(entry));
  });
  return join(scratch, name);
}

/** What `rkt config` prints with a system and a local root. */
async function config(system: string, local: string, ...args: string[]) {
  return runLine(`--system-config=${system}`, `--local-config=${local}`, 'config', ...args);
}

const auth = (domains: string[], token: string) => ({
  rktVersion: 'v1',
  rktKind: 'auth',
  domains,
  type: 'oauth',
  credentials: { token },
});
const others = [
  {
    rktVersion: 'v1',
    rktKind: 'dockerAuth',
    registries: ['quay.io'],
    credentials: { user: 'me', password: 'secret' },
  },
  { rktVersion: 'v1', rktKind: 'paths', data: '/srv/rkt', 'stage1-images': '/srv/stage1' },
  { rktVersion: 'v1', rktKind: 'stage1', name: 'a.test/s', version: '1', location: '/s.aci' },
];

it('prints an object for each domain and registry, and one for paths and for stage1', async () => {
  const system = root('system', [auth(['a.test', 'b.test'], 't'), ...others]);
  const { code, stdout } = await config(system, '/nonexistent');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    stage0: [auth(['a.test'], 't'), auth(['b.test'], 't'), ...others],
  });
});

it('prints what counts where two roots differ', async () => {
  const system = root('system', [auth(['a.test'], 'old')]);
  const local = root('local', [auth(['a.test'], 'new')]);
  expect(JSON.parse((await config(system, local)).stdout)).toEqual({
    stage0: [auth(['a.test'], 'new')],
  });
});

it('prints what gives the same again when it is split into files', async () => {
  const basic = {
    ...auth(['c.test'], ''),
    type: 'basic',
    credentials: { user: 'u', password: 'p' },
  };
  const aws = {
    ...auth(['s3.test'], ''),
    type: 'aws',
    credentials: { accessKeyID: 'k', secretAccessKey: 's', awsRegion: 'r' },
  };
  const { stdout } = await config(root('one', [basic, aws, ...others]), '/nonexistent');
  const again = await config(root('two', JSON.parse(stdout).stage0), '/nonexistent');
  expect(again.stdout).toBe(stdout);
});

it('prints an empty list where nothing is configured', async () => {
  const args = ['/nonexistent', '/nonexistent', '--pretty-print=false'] as const;
  expect((await config(...args)).stdout).toBe('{"stage0":[]}\n');
});
