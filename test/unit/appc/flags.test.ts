import { describe, expect, test } from 'vitest';
import {
  addNameValue,
  parseBool,
  parseCapsFlag,
  parseCpuFlag,
  parseCpuSharesFlag,
  parseGidsFlag,
  parseMemoryFlag,
  parseMountFlag,
  parseNameValue,
  parseOomScoreAdjFlag,
  parsePortFlag,
  parseSeccompFlag,
  parseVolumeFlag,
} from '../../../src/appc/index.ts';

describe('--volume', () => {
  test.each([
    ['a,kind=host,source=/x', { name: 'a', kind: 'host', source: '/x' }],
    [
      'a,kind=host,source=/x=y&z+%20,readOnly=true,recursive=0',
      { name: 'a', kind: 'host', source: '/x=y&z+%20', readOnly: true, recursive: false },
    ],
    ['a,kind=empty', { name: 'a', kind: 'empty', mode: '0755', uid: 0, gid: 0 }],
    [
      'a,kind=empty,mode=0770,uid=5,gid=6,readOnly=F',
      { name: 'a', kind: 'empty', mode: '0770', uid: 5, gid: 6, readOnly: false },
    ],
    [
      'a,kind=tmpfs,size=64Mi',
      { name: 'a', kind: 'tmpfs', mode: '1777', uid: 0, gid: 0, size: '64Mi' },
    ],
  ])('%s', (text, volume) => {
    expect(parseVolumeFlag(text)).toEqual(volume);
  });

  test.each([
    ['', '"" is not an AC name'],
    ['A,kind=empty', '"A" is not an AC name'],
    ['a', 'kind is missing'],
    ['a,kind=nfs', 'unknown kind "nfs", must be host, empty or tmpfs'],
    ['a,kind=host', 'source is required'],
    ['a,kind=host,source=x', 'must be an absolute path'],
    ['a,kind=host,source=/x,mode=0755', 'mode is not allowed for a host volume'],
    ['a,kind=host,source=/x,gid=1', 'gid is not allowed for a host volume'],
    ['a,kind=empty,source=/x', 'source is not allowed for an empty volume'],
    ['a,kind=empty,mode=999', 'mode "999" is not an octal mode'],
    ['a,kind=empty,uid=-1', 'must be an integer from 0'],
    ['a,kind=empty,size=1', 'size is not allowed for an empty volume'],
    ['a,kind=empty,limit=1', 'unknown volume parameter "limit"'],
    ['a,kind=tmpfs,size=0', 'size "0" is not more than 0'],
    ['a,kind=empty,uid=1,uid=2', 'label "uid" with multiple values'],
    ['a,kind=empty,readOnly', 'malformed string "readOnly"'],
    ['a,kind=empty,readOnly=yes', 'must be true or false'],
  ])('%j is refused', (text, why) => {
    expect(() => parseVolumeFlag(text)).toThrow(why);
  });
});

describe('--mount', () => {
  test('leaves the target as it is', () => {
    expect(parseMountFlag('volume=a,target=/x+%20&y=z')).toEqual({
      volume: 'a',
      path: '/x+%20&y=z',
    });
  });

  test.each([
    ['volume=a,target=/x,mode=1', 'unknown mount parameter "mode"'],
    ['volume=a,target', 'malformed string "target"'],
    ['volume=a', 'target is missing'],
    ['target=/x', 'volume "" is not an AC name'],
    ['volume=a,volume=b,target=/x', 'label "volume" with multiple values'],
  ])('%s is refused', (text, why) => {
    expect(() => parseMountFlag(text)).toThrow(why);
  });
});

describe('--port', () => {
  test.each([
    ['http:80', { name: 'http', hostPort: 80 }],
    ['http:192.0.2.7:80', { name: 'http', hostPort: 80, hostIP: '192.0.2.7' }],
    ['80-tcp:[::1]:80', { name: '80-tcp', hostPort: 80, hostIP: '::1' }],
  ])('%s', (text, port) => {
    expect(parsePortFlag(text)).toEqual(port);
  });

  test.each(['http', 'http:', ':80', 'http:0', 'http:65536', 'http:x:80', 'http:80x', 'http::80'])(
    '%s is refused',
    (text) => {
      expect(() => parsePortFlag(text)).toThrow('bad port');
    },
  );
});

describe('--seccomp', () => {
  test('with mode, errno, a set and calls', () => {
    expect(
      parseSeccompFlag('mode=retain,errno=EPERM,@docker/default-whitelist,io_uring_setup'),
    ).toEqual({
      mode: 'retain',
      errno: 'EPERM',
      set: ['@docker/default-whitelist', 'io_uring_setup'],
    });
  });

  test('takes the last of several modes', () => {
    expect(parseSeccompFlag('mode=retain,mode=remove,ptrace').mode).toBe('remove');
  });

  test.each([
    ['ptrace', 'mode is missing'],
    ['mode=kill,ptrace', 'unknown mode "kill"'],
    ['mode=retain,arch=x,ptrace', 'unknown parameter "arch"'],
    ['mode=retain', 'set must be non-empty'],
    ['mode=retain,', 'is not the name of a system call'],
    ['mode=retain,errno=1,ptrace', '"1" is not the name of an error'],
    ['mode=retain,@nobody/set', 'unknown seccomp set "@nobody/set"'],
  ])('%s is refused', (text, why) => {
    expect(() => parseSeccompFlag(text)).toThrow(why);
  });
});

describe('capability flags', () => {
  test('take a list of known names', () => {
    expect(parseCapsFlag('CAP_KILL,CAP_BPF')).toEqual(['CAP_KILL', 'CAP_BPF']);
  });

  test.each([
    ['', 'set must be non-empty'],
    ['CAP_KILL,', 'unknown capability ""'],
    ['CAP_FLY', 'unknown capability "CAP_FLY"'],
  ])('%j is refused', (text, why) => {
    expect(() => parseCapsFlag(text)).toThrow(why);
  });
});

describe('NAME=VALUE', () => {
  test('is split at the first "=" and may have an empty value', () => {
    expect(parseNameValue('A=b=c', 'environment')).toEqual({ name: 'A', value: 'b=c' });
    expect(parseNameValue('any thing=')).toEqual({ name: 'any thing', value: '' });
  });

  test.each([
    ['A', 'free', 'must be NAME=VALUE'],
    ['=x', 'free', 'must be NAME=VALUE'],
    ['1A=x', 'environment', 'is not the name of an environment variable'],
    ['A=x', 'annotation', 'is not an AC identifier'],
  ] as const)('%s as %s is refused', (text, kind, why) => {
    expect(() => parseNameValue(text, kind)).toThrow(why);
  });

  test('cannot be given twice', () => {
    const once = addNameValue([], { name: 'A', value: '1' });
    expect(() => addNameValue(once, { name: 'A', value: '2' })).toThrow('key "A" already set');
  });
});

describe('--memory', () => {
  test.each(['4096', '1Gi', '16M'])('%s is taken', (text) => {
    expect(parseMemoryFlag(text)).toBe(text);
  });

  test.each(['16m', '4095', '0', '-1Gi'])('%s is too low', (text) => {
    expect(() => parseMemoryFlag(text)).toThrow('"m" is a thousandth, "M" a million');
  });
});

test('--cpu takes every amount above 0', () => {
  expect(parseCpuFlag('5m')).toBe('5m');
  expect(() => parseCpuFlag('0')).toThrow('must be more than 0');
});

test.each([
  [parseCpuSharesFlag, '2', 2],
  [parseCpuSharesFlag, '262144', 262_144],
  [parseOomScoreAdjFlag, '-1000', -1000],
  [parseOomScoreAdjFlag, '1000', 1000],
] as const)('%o takes %s', (parse, text, value) => {
  expect(parse(text)).toBe(value);
});

test.each([
  [parseCpuSharesFlag, '1'],
  [parseCpuSharesFlag, '262145'],
  [parseCpuSharesFlag, ''],
  [parseOomScoreAdjFlag, '1001'],
  [parseOomScoreAdjFlag, '1.5'],
] as const)('%o refuses %j', (parse, text) => {
  expect(() => parse(text)).toThrow('must be an integer from');
});

test('--supplementary-gids takes numbers, or none at all', () => {
  expect(parseGidsFlag('1,20')).toEqual([1, 20]);
  expect(parseGidsFlag('')).toEqual([]);
  expect(() => parseGidsFlag('1,wheel')).toThrow('bad user or group id "wheel"');
});

test('booleans are spelled as in Go', () => {
  expect(['1', 't', 'T', 'true', 'TRUE', 'True'].map(parseBool)).not.toContain(false);
  expect(['0', 'f', 'F', 'false', 'FALSE', 'False'].map(parseBool)).not.toContain(true);
  expect(() => parseBool('')).toThrow('must be true or false');
});
