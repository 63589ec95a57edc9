import { describe, expect, test } from 'vitest';
import type { ImageManifest } from '../../../src/appc/index.ts';
import {
  entryAnnotations,
  entryPoint,
  interfaceVersion,
  parseRunArgv,
  type RunArguments,
  runArgv,
} from '../../../src/stage1/contract.ts';

const UUID = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';

const plain: RunArguments = {
  debug: false,
  net: ['none'],
  interactive: false,
  localConfig: '/etc/rkt',
  insecure: { capabilities: false, paths: false, seccomp: false },
  resolv: 'default',
  hosts: 'default',
  ipc: 'auto',
};

const everything: RunArguments = {
  debug: true,
  net: ['a:IP=1;X=2', 'b'],
  interactive: true,
  privateUsers: { shift: 65536, count: 65536 },
  localConfig: '/some where',
  hostname: 'me',
  insecure: { capabilities: true, paths: true, seccomp: true },
  resolv: 'stage0',
  hosts: 'host',
  ipc: 'parent',
};

/** The options in the order of the versions of the contract that brought them. */
const byVersion: readonly (readonly [version: number, options: readonly string[]])[] = [
  [
    1,
    [
      '--debug',
      '--net=a:IP=1;X=2,b',
      '--interactive',
      '--private-users=65536:65536',
      '--local-config=/some where',
    ],
  ],
  [2, ['--hostname=me']],
  [3, ['--disable-capabilities-restriction', '--disable-paths', '--disable-seccomp']],
  [4, ['--dns-conf-mode=resolv=stage0,hosts=host']],
  [6, ['--ipc=parent']],
];

describe('the arguments of run', () => {
  test.each([1, 2, 3, 4, 5, 6, 7])('of version %i are what that version knows', (version) => {
    const known = byVersion.filter(([since]) => since <= version).flatMap(([, options]) => options);
    const dropped = byVersion
      .filter(([since]) => since > version)
      .flatMap(([, options]) => options);
    expect(runArgv(UUID, everything, version)).toEqual({ argv: [...known, UUID], dropped });
  });

  test('leave out what was not asked for', () => {
    expect(runArgv(UUID, plain, 3)).toEqual({
      argv: ['--net=none', '--local-config=/etc/rkt', UUID],
      dropped: ['--dns-conf-mode=resolv=default,hosts=default', '--ipc=auto'],
    });
  });

  test.each([
    ['plain ones', plain],
    ['all of them', everything],
  ])('are read back as they were written: %s', (_, run) => {
    expect(parseRunArgv(runArgv(UUID, run, 6).argv)).toEqual({ uuid: UUID, run });
  });

  test('of version 1 are read with the defaults of what is missing', () => {
    const { run } = parseRunArgv(runArgv(UUID, everything, 1).argv);
    expect(run).toMatchObject({ resolv: 'default', hosts: 'default', ipc: 'auto' });
    expect(run.insecure).toEqual(plain.insecure);
  });

  test.each([
    [['--net=none'], /one UUID expected/],
    [[UUID, UUID], /one UUID expected/],
    [['--ipc=shared', UUID], /"shared" is not one of private, parent, auto/],
    [['--dns-conf-mode=resolv=mine', UUID], /"mine" is not one of/],
  ])('%j are refused', (argv, message) => {
    expect(() => parseRunArgv(argv)).toThrow(message);
  });
});

describe('a stage1 image', () => {
  const image = (annotations: ImageManifest['annotations']): ImageManifest => ({
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name: 'example.org/stage1',
    labels: [],
    annotations,
    dependencies: [],
    pathWhitelist: [],
  });

  test('names its entry points by annotations', () => {
    const own = image(entryAnnotations({ run: '/init', gc: '/gc' }));
    expect(entryPoint(own, 'run')).toBe('/init');
    expect(entryPoint(own, 'gc')).toBe('/gc');
    expect(interfaceVersion(own)).toBe(6);
  });

  test('without an entry point is named in the error, and the annotation', () => {
    expect(() => entryPoint(image([]), 'stop')).toThrow(
      /example\.org\/stage1.*"stop".*coreos\.com\/rkt\/stage1\/stop/,
    );
  });

  test('that does not say has the first version of the contract', () => {
    expect(interfaceVersion(image([]))).toBe(1);
  });
});
