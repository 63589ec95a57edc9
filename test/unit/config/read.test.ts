import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/config/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const roots = () => ({
  system: join(folder, 'system'),
  local: join(folder, 'local'),
  user: join(folder, 'user'),
});

function put(path: string, content: unknown): void {
  const file = join(folder, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
}

const v1 = { rktVersion: 'v1' };
const basic = (domains: string[], user: string) => ({
  ...v1,
  rktKind: 'auth',
  type: 'basic',
  domains,
  credentials: { user, password: 'p' },
});

it('is empty where no folder exists', async () => {
  expect(await readConfig(roots())).toEqual({
    auth: new Map(),
    dockerAuth: new Map(),
    paths: {},
    stage1: {},
  });
});

it('reads every kind', async () => {
  put('local/auth.d/a.json', basic(['a.org', 'a.org:8443'], 'u'));
  put('local/auth.d/b.json', {
    ...v1,
    rktKind: 'auth',
    type: 'oauth',
    domains: ['b.org'],
    credentials: { token: 't' },
  });
  put('local/auth.d/c.json', {
    ...v1,
    rktKind: 'auth',
    type: 'aws',
    domains: ['c.org'],
    credentials: { accessKeyID: 'k', secretAccessKey: 's', awsRegion: 'eu-west-1' },
  });
  put('local/auth.d/d.json', {
    ...v1,
    rktKind: 'dockerAuth',
    registries: ['quay.io'],
    credentials: { user: 'u', password: 'p' },
  });
  put('local/paths.d/p.json', {
    ...v1,
    rktKind: 'paths',
    data: '/srv/rkt',
    'stage1-images': '/srv/s1',
  });
  put('local/stage1.d/s.json', {
    ...v1,
    rktKind: 'stage1',
    name: 'example.org/s1',
    version: '1.0.0',
    location: '/srv/s1.aci',
  });
  expect(await readConfig(roots())).toEqual({
    auth: new Map<string, unknown>([
      ['a.org', { type: 'basic', user: 'u', password: 'p' }],
      ['a.org:8443', { type: 'basic', user: 'u', password: 'p' }],
      ['b.org', { type: 'oauth', token: 't' }],
      ['c.org', { type: 'aws', accessKeyID: 'k', secretAccessKey: 's', awsRegion: 'eu-west-1' }],
    ]),
    dockerAuth: new Map([['quay.io', { user: 'u', password: 'p' }]]),
    paths: { data: '/srv/rkt', stage1Images: '/srv/s1' },
    stage1: {
      image: { name: 'example.org/s1', version: '1.0.0' },
      location: '/srv/s1.aci',
    },
  });
});

describe('precedence', () => {
  it('is user over local over system, for each key alone', async () => {
    put('system/auth.d/a.json', basic(['a.org', 'b.org', 'c.org'], 'system'));
    put('local/auth.d/a.json', basic(['b.org', 'c.org'], 'local'));
    put('user/auth.d/a.json', basic(['c.org'], 'user'));
    put('system/paths.d/p.json', {
      ...v1,
      rktKind: 'paths',
      data: '/system',
      'stage1-images': '/system',
    });
    put('user/paths.d/p.json', { ...v1, rktKind: 'paths', data: '/user' });
    const { auth, paths } = await readConfig(roots());
    expect([...auth.values()]).toMatchObject([
      { user: 'system' },
      { user: 'local' },
      { user: 'user' },
    ]);
    expect(paths).toEqual({ data: '/user', stage1Images: '/system' });
  });
  it('keeps the stage1 name and version together and the location apart', async () => {
    put('system/stage1.d/s.json', { ...v1, rktKind: 'stage1', location: '/system.aci' });
    put('local/stage1.d/s.json', { ...v1, rktKind: 'stage1', name: 'n', version: '2' });
    expect((await readConfig(roots())).stage1).toEqual({
      image: { name: 'n', version: '2' },
      location: '/system.aci',
    });
  });
});

it('reads regular files ending in .json only', async () => {
  put('local/paths.d/readme.txt', 'not JSON');
  put('local/paths.d/below.json/x.json', 'not JSON');
  put('elsewhere.json', 'not JSON');
  symlinkSync(join(folder, 'elsewhere.json'), join(folder, 'local/paths.d/link.json'));
  expect((await readConfig(roots())).paths).toEqual({});
});

describe('a bad file', () => {
  it.each<[string, string, unknown, string]>([
    ['is no JSON', 'paths.d', '{', 'not JSON'],
    ['is no object', 'paths.d', '[]', 'the file must be of type object'],
    ['has no kind', 'paths.d', {}, 'rktKind is missing'],
    [
      'has a kind of another folder',
      'paths.d',
      basic(['a'], 'u'),
      'rktKind is "auth", paths.d takes paths',
    ],
    ['has an unknown kind', 'auth.d', { rktKind: 'toString' }, 'auth.d takes auth or dockerAuth'],
    ['has no version', 'paths.d', { rktKind: 'paths' }, 'rktVersion is missing'],
    [
      'has another version',
      'paths.d',
      { rktKind: 'paths', rktVersion: 'v2' },
      'rktVersion must be "v1"',
    ],
    [
      'has a relative path',
      'paths.d',
      { ...v1, rktKind: 'paths', data: 'x' },
      'data must be an absolute path',
    ],
    [
      'has an unknown auth type',
      'auth.d',
      { ...basic(['a'], 'u'), type: 'x' },
      'type must be "basic"',
    ],
    ['has no domains', 'auth.d', basic([], 'u'), 'domains must name at least one'],
    ['has an empty user', 'auth.d', basic(['a'], ''), 'credentials.user must not be empty'],
    ['names a domain twice', 'auth.d', basic(['a', 'a'], 'u'), 'names a host twice'],
    [
      'has a name without a version',
      'stage1.d',
      { ...v1, rktKind: 'stage1', name: 'n' },
      'needs name and version both',
    ],
    [
      'has a location of another scheme',
      'stage1.d',
      { ...v1, rktKind: 'stage1', location: 'ftp://x' },
      'location must be',
    ],
  ])('that %s is named with its key', async (_, kind, content, message) => {
    put(`local/${kind}/bad.json`, content);
    const reading = readConfig(roots());
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(`local/${kind}/bad.json`);
    await expect(reading).rejects.toMatchObject({ name: 'ConfigError', code: 'invalid' });
  });
});

it('refuses two files of one folder that define the same key', async () => {
  put('local/auth.d/a.json', basic(['a.org'], 'u'));
  put('local/auth.d/b.json', basic(['a.org'], 'v'));
  await expect(readConfig(roots())).rejects.toThrow(
    'b.json: auth of domain "a.org" is already defined by a.json',
  );
});
