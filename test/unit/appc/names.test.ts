import { describe, expect, test } from 'vitest';
import {
  isACIdentifier,
  isACName,
  isIPAddress,
  isSemVer,
  parseImageHash,
  sanitizeACIdentifier,
  sanitizeACName,
} from '../../../src/appc/index.ts';

test.each(['a', 'a-b', '0', 'web-2-x'])('%s is an AC name', (name) => {
  expect(isACName(name)).toBe(true);
});

test.each(['', '-a', 'a-', 'a--b', 'A', 'a.b', 'a_b', 'a/b', 'a\n', 'ä'])(
  '%j is no AC name',
  (name) => {
    expect(isACName(name)).toBe(false);
  },
);

test.each(['example.org/web', 'a~b_c.d-e/f', '0'])('%s is an AC identifier', (name) => {
  expect(isACIdentifier(name)).toBe(true);
});

test.each(['', '/a', 'a/', 'a//b', 'a..b', 'Example.org', 'a:b', 'a b'])(
  '%j is no AC identifier',
  (name) => {
    expect(isACIdentifier(name)).toBe(false);
  },
);

test.each([
  ['My App', 'my-app'],
  ['a--b', 'a-b'],
  ['_x_', 'x'],
  ['web~2.0', 'web-2-0'],
])('%j becomes the AC name %s', (text, name) => {
  expect(sanitizeACName(text)).toBe(name);
});

test.each([
  ['Library/My App', 'library/my_app'],
  ['a__b', 'a_b'],
  ['localhost:5000/a', 'localhost_5000/a'],
])('%j becomes the AC identifier %s', (text, name) => {
  expect(sanitizeACIdentifier(text)).toBe(name);
});

test('text without a legal character becomes no name but an error', () => {
  expect(() => sanitizeACName('~~')).toThrow('cannot make an app container name from "~~"');
  expect(() => sanitizeACIdentifier('::')).toThrow('"::"');
});

test.each(['1.2.3', '0.8.11', '2.0.0-alpha.1', '1.0.0+meta.5'])('%s is a version', (text) => {
  expect(isSemVer(text)).toBe(true);
});

test.each(['', '1', '1.2', 'v1.2.3', '01.2.3', '1.2.3-', '1.2.3 '])('%j is no version', (text) => {
  expect(isSemVer(text)).toBe(false);
});

describe('image hash', () => {
  test('of 128 digits is cut to the key of 64', () => {
    expect(parseImageHash(`sha512-${'AB'.repeat(64)}`)).toBe(`sha512-${'ab'.repeat(32)}`);
  });

  test.each([
    ['sha512', 'must be sha512-HEX'],
    ['sha512-a-b', 'must be sha512-HEX'],
    [`sha256-${'a'.repeat(64)}`, 'unsupported algorithm "sha256"'],
    ['sha512-', '64 or 128 hex digits'],
    [`sha512-${'a'.repeat(63)}`, '64 or 128 hex digits'],
    [`sha512-${'g'.repeat(64)}`, '64 or 128 hex digits'],
  ])('%s is refused', (text, why) => {
    expect(() => parseImageHash(text)).toThrow(why);
  });
});

test.each(['0.0.0.0', '192.0.2.7', '::', '::1', '2001:db8::5', '::ffff:1.2.3.4'])(
  '%s is an IP address',
  (text) => {
    expect(isIPAddress(text)).toBe(true);
  },
);

test.each(['', '1.2.3', '1.2.3.256', '01.2.3.4', ':', 'g::', '::1]/x', 'fe80::1%eth0', 'host'])(
  '%j is no IP address',
  (text) => {
    expect(isIPAddress(text)).toBe(false);
  },
);
