import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDockerReference } from '../../../src/image/docker-reference.ts';
import { ImageError } from '../../../src/image/error.ts';
import { parseImageReference } from '../../../src/image/reference.ts';

const scratch = mkdtempSync(join(tmpdir(), 'reference-'));
const before = process.cwd();
beforeAll(() => process.chdir(scratch));
afterAll(() => {
  process.chdir(before);
  rmSync(scratch, { recursive: true });
});

const digits = 'ab12'.repeat(32);

function refusal(text: string): string {
  try {
    parseImageReference(text);
  } catch (error) {
    if (error instanceof ImageError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('keys', () => {
  test.each([
    ['sha512-ab', 'sha512-ab'],
    [`sha512-${digits.slice(0, 64)}`, `sha512-${digits.slice(0, 64)}`],
    [`sha512-${digits}`, `sha512-${digits.slice(0, 64)}`],
    ['sha512-AB', 'sha512-ab'],
  ])('%s is a key', (text, key) => {
    expect(parseImageReference(text)).toEqual({ kind: 'hash', key });
  });

  test.each([
    ['sha512-a', 'bad-key', 'too short'],
    ['sha512-', 'bad-key', 'too short'],
    ['sha256-abcdef', 'bad-key', 'wrong key prefix'],
    [`sha512-${digits}0`, 'bad-key', '128'],
  ])('%s is refused', (text, code, why) => {
    expect(refusal(text)).toMatch(new RegExp(`^${code}: .*${why}`));
  });

  test('a name may begin like a hash', () => {
    expect(parseImageReference('sha256-tools')).toMatchObject({ kind: 'name' });
  });
});

describe('names', () => {
  const named = (name: string, ...labels: [string, string][]) => ({
    kind: 'name',
    name,
    labels: labels.map(([label, value]) => ({ name: label, value })),
  });

  test.each([
    ['example.com/app', named('example.com/app')],
    ['my-app:v1', named('my-app', ['version', 'v1'])],
    ['example.com:1.0', named('example.com', ['version', '1.0'])],
    ['a/b:1,os=linux,x=y=z', named('a/b', ['version', '1'], ['os', 'linux'], ['x', 'y=z'])],
    ['a,version=1', named('a', ['version', '1'])],
    ['foo', named('foo')],
  ])('%s', (text, expected) => {
    expect(parseImageReference(text)).toEqual(expected);
  });

  test.each([
    ['name:1.0:2', 'at most once'],
    ['name,os=linux:1', 'only right after'],
    ['name:1,x=a:b', 'at most once'],
    ['name:1,version=2', 'multiple values'],
    ['name,a=1,a=2', 'multiple values'],
    ['name,linux', 'NAME=VALUE'],
    ['name,name=x', 'cannot be a label'],
    ['name:', 'empty'],
    ['Upper', 'lower-case'],
    ['', 'empty'],
    [`${'x'.repeat(4096)}!`, 'lower-case'],
  ])('%s is refused', (text, why) => {
    expect(refusal(text)).toMatch(new RegExp(`^bad-reference: .*${why}`));
  });
});

describe('paths', () => {
  test.each(['./foo.aci', '/abs/foo', 'foo.aci', '../foo', 'sub/./foo'])('%s', (text) => {
    expect(parseImageReference(text)).toEqual({ kind: 'file', path: resolve(text) });
  });

  test('an existing file without suffix is a path', () => {
    writeFileSync('plain', '');
    expect(parseImageReference('plain')).toEqual({ kind: 'file', path: resolve('plain') });
  });

  test('an existing file wins over name:version', () => {
    writeFileSync('tool:v2', '');
    expect(parseImageReference('tool:v2')).toMatchObject({ kind: 'file' });
  });

  test('an OCI layout folder is a path', () => {
    mkdirSync('layout');
    writeFileSync('layout/oci-layout', '{"imageLayoutVersion":"1.0.0"}');
    expect(parseImageReference('layout')).toEqual({ kind: 'file', path: resolve('layout') });
  });

  test('any other folder is not', () => {
    mkdirSync('folder');
    expect(parseImageReference('folder')).toMatchObject({ kind: 'name' });
  });
});

describe('schemes', () => {
  test.each([
    ['https://h/a/x.aci', { kind: 'url', url: 'https://h/a/x.aci' }],
    ['HTTP://h/x.aci?token=1', { kind: 'url', url: 'http://h/x.aci?token=1' }],
    ['file:///srv/a%20b.aci', { kind: 'file', path: '/srv/a b.aci' }],
    ['oci:/srv/layout', { kind: 'oci', path: '/srv/layout' }],
    ['oci:layout:v1', { kind: 'oci', path: resolve(scratch, 'layout'), tag: 'v1' }],
    [
      'oci-archive:/a.tar:docker.io/library/busybox:1',
      { kind: 'oci-archive', path: '/a.tar', tag: 'docker.io/library/busybox:1' },
    ],
    [
      'docker-archive:/a.tar:busybox:1',
      { kind: 'docker-archive', path: '/a.tar', tag: 'busybox:1' },
    ],
    [
      'docker:redis',
      {
        kind: 'docker',
        registry: 'registry-1.docker.io',
        repository: 'library/redis',
        tag: 'latest',
      },
    ],
    [
      'cimd:appc:v=0:example.com/app?version=1&os=linux',
      {
        kind: 'name',
        name: 'example.com/app',
        labels: [
          { name: 'version', value: '1' },
          { name: 'os', value: 'linux' },
        ],
      },
    ],
    ['cimd:aci-archive:v=0:https%3A%2F%2Fh%2Fx.aci', { kind: 'url', url: 'https://h/x.aci' }],
    [
      'cimd:docker:v=0:quay.io/a/b:1',
      { kind: 'docker', registry: 'quay.io', repository: 'a/b', tag: '1' },
    ],
  ])('%s', (text, expected) => {
    expect(parseImageReference(text)).toEqual(expected);
  });

  test.each([
    ['http://h/x.tar', 'must end in .aci'],
    ['https:x.aci', 'complete URL'],
    ['file://host/x.aci', 'absolute path'],
    ['file:///srv/x', 'must end in .aci'],
    ['ftp://h/x.aci', '"ftp" is no scheme'],
    ['oci:', 'path must follow'],
    ['oci-archive::tag', 'path must follow'],
    ['docker://', 'repository'],
    ['cimd:appc:v=1:a', 'version 1'],
    ['cimd:appc:v=0:%zz', 'URL-encoded'],
    ['cimd:what:v=0:a', '"what" is unknown'],
    ['cimd:appc', 'cimd:TYPE'],
  ])('%s is refused', (text, why) => {
    expect(refusal(text)).toMatch(new RegExp(`^bad-reference: .*${why}`));
  });
});

describe('Docker references', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  test.each([
    ['redis', 'registry-1.docker.io', 'library/redis', 'latest', undefined],
    ['docker.io/redis:7', 'registry-1.docker.io', 'library/redis', '7', undefined],
    [`lib/redis@${digest}`, 'registry-1.docker.io', 'lib/redis', undefined, digest],
    ['host:5000/a/b:t', 'host:5000', 'a/b', 't', undefined],
    ['localhost/a', 'localhost', 'a', 'latest', undefined],
    [`quay.io/a/b:t@${digest}`, 'quay.io', 'a/b', 't', digest],
    ['[::1]:5000/a', '[::1]:5000', 'a', 'latest', undefined],
  ])('%s', (text, registry, repository, tag, hash) => {
    expect(parseDockerReference(text)).toEqual({
      registry,
      repository,
      ...(tag && { tag }),
      ...(hash && { digest: hash }),
    });
  });

  test.each(['Upper', 'a//b', 'a@sha256:xyz', 'a:b:c', 'a:', 'ho_st.x/a', 'a@', ''])(
    '%s is refused',
    (text) => {
      expect(() => parseDockerReference(text)).toThrow(ImageError);
    },
  );
});
