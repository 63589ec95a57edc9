import { describe, expect, test } from 'vitest';
import { imageManifestOf } from '../../../src/image/oci-config.ts';
import { parseConfig } from '../../../src/image/oci-schema.ts';

type Json = Record<string, unknown>;

function map(config: Json, outer: Json = {}) {
  const json = {
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: [] },
    config,
    ...outer,
  };
  const parsed = parseConfig(Buffer.from(JSON.stringify(json)), 'config');
  return imageManifestOf(parsed, {
    where: 'a.tar',
    name: 'example.com/app',
    version: '1',
    annotations: [],
  });
}

const app = (config: Json) => map(config).manifest.app;
const annotations = (config: Json, outer: Json = {}) =>
  Object.fromEntries(
    map(config, outer).manifest.annotations.map(({ name, value }) => [name, value]),
  );

describe('what an image is', () => {
  test('name and labels', () => {
    const { name, labels } = map({}).manifest;
    expect(name).toBe('example.com/app');
    expect(labels).toEqual([
      { name: 'version', value: '1' },
      { name: 'os', value: 'linux' },
      { name: 'arch', value: 'amd64' },
    ]);
  });

  test.each([
    ['386', undefined, 'i386'],
    ['arm64', 'v8', 'aarch64'],
    ['arm', 'v7', 'armv7l'],
    ['arm', undefined, 'armv7l'],
    ['arm', 'v6', 'armv6l'],
    ['ppc64le', undefined, 'ppc64le'],
    ['s390x', undefined, 's390x'],
  ])('%s %s is arch %s', (architecture, variant, arch) => {
    expect(map({}, { architecture, variant }).manifest.labels).toContainEqual({
      name: 'arch',
      value: arch,
    });
  });

  test('a platform that appc does not know is refused by name', () => {
    expect(() => map({}, { architecture: 'riscv64' })).toThrow(/riscv64/);
  });

  test('author and creation date', () => {
    expect(annotations({}, { author: 'A. U. Thor', created: '2020-01-02T03:04:05Z' })).toEqual({
      authors: 'A. U. Thor',
      created: '2020-01-02T03:04:05Z',
    });
  });

  test('a creation date that is none is left out with a warning', () => {
    const { manifest, warnings } = map({}, { created: 'yesterday' });
    expect(manifest.annotations).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('yesterday')]);
  });
});

describe('what an app runs', () => {
  test('entrypoint and then command', () => {
    const config = { Entrypoint: ['/bin/sh', '-c'], Cmd: ['echo hi'] };
    expect(app(config)?.exec).toEqual(['/bin/sh', '-c', 'echo hi']);
    expect(annotations(config)).toMatchObject({
      'appc.io/docker/entrypoint': '["/bin/sh","-c"]',
      'appc.io/docker/cmd': '["echo hi"]',
    });
  });

  test('nothing, when neither is there', () => {
    expect(app({ Entrypoint: null, Cmd: null })?.exec).toEqual([]);
  });

  test.each([
    [undefined, '0', '0'],
    ['', '0', '0'],
    ['nginx', 'nginx', 'nginx'],
    ['1000', '1000', '1000'],
    ['1000:5', '1000', '5'],
    ['u:g', 'u', 'g'],
    ['u:', 'u', 'u'],
    [':g', '0', 'g'],
  ])('as user %s', (User, user, group) => {
    expect(app({ User })).toMatchObject({ user, group });
  });

  test('with its own words for the user kept', () => {
    expect(annotations({ User: 'nobody' })['appc.io/docker/user']).toBe('nobody');
  });

  test.each([
    ['', ''],
    ['/srv', '/srv'],
    ['srv/../data', '/data'],
  ])('in the folder "%s"', (WorkingDir, workingDirectory) => {
    expect(app({ WorkingDir })?.workingDirectory).toBe(workingDirectory);
  });

  test('with variables, the last of a name, and the rest of a value as it is', () => {
    expect(app({ Env: ['A=1', 'B=x=y\nz', 'A=2', 'C='] })?.environment).toEqual([
      { name: 'A', value: '2' },
      { name: 'B', value: 'x=y\nz' },
      { name: 'C', value: '' },
    ]);
  });

  test('without variables that appc cannot name, with a warning each', () => {
    const { manifest, warnings } = map({ Env: ['NOEQUALS', '1A=x', 'a b=c', '=v', 'OK=1'] });
    expect(manifest.app?.environment).toEqual([{ name: 'OK', value: '1' }]);
    expect(warnings).toHaveLength(4);
  });

  test('until its stop signal', () => {
    expect(annotations({ StopSignal: 'SIGQUIT' })['appc.io/docker/stopsignal']).toBe('SIGQUIT');
  });

  test('with its labels', () => {
    expect(app({ Labels: { 'Any Key': 'any\nvalue' } })?.userLabels).toEqual({
      'Any Key': 'any\nvalue',
    });
  });
});

describe('volumes', () => {
  const volumes = (...paths: string[]) =>
    app({ Volumes: Object.fromEntries(paths.map((path) => [path, {}])) })?.mountPoints.map(
      ({ name, path }) => [name, path],
    );

  test('are mount points named after their paths', () => {
    expect(volumes('/data', '/var/lib/My_DB')).toEqual([
      ['volume-data', '/data'],
      ['volume-var-lib-my-db', '/var/lib/My_DB'],
    ]);
  });

  test('whose names collide get a number', () => {
    expect(volumes('/a/b', '/a_b', '/A/b')).toEqual([
      ['volume-a-b', '/a/b'],
      ['volume-a-b-1', '/a_b'],
      ['volume-a-b-2', '/A/b'],
    ]);
  });

  test('of one path count once', () => {
    expect(volumes('/data', '/data/', 'data')).toEqual([['volume-data', '/data']]);
  });

  test('at the root are left out with a warning', () => {
    const { manifest, warnings } = map({ Volumes: { '/': {} } });
    expect(manifest.app?.mountPoints).toEqual([]);
    expect(warnings).toHaveLength(1);
  });
});

describe('ports', () => {
  test.each([
    ['80/tcp', '80-tcp', 'tcp', 80, 1],
    ['53/UDP', '53-udp', 'udp', 53, 1],
    ['8080', '8080-tcp', 'tcp', 8080, 1],
    ['8000-8010/tcp', '8000-8010-tcp', 'tcp', 8000, 11],
  ])('%s', (text, name, protocol, port, count) => {
    expect(app({ ExposedPorts: { [text]: {} } })?.ports).toEqual([
      { name, protocol, port, count, socketActivated: false },
    ]);
  });

  test.each(['0/tcp', '65536', '20-10', 'http', '80/'])('%s is refused', (text) => {
    expect(() => app({ ExposedPorts: { [text]: {} } })).toThrow(/config\.ExposedPorts/);
  });
});

test('a wrong field is named by its path', () => {
  expect(() => map({ Env: 'A=1' })).toThrow(/config\.Env: must be an array/);
});
