import { expect, test } from 'vitest';
import { checkRunnable, hostArch } from '../../../src/appc/index.ts';

const labels = (os?: string, arch?: string) =>
  Object.entries({ os, arch }).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value }],
  );

test('an image for this host runs here', () => {
  expect(() => checkRunnable(labels('linux', hostArch()))).not.toThrow();
});

test.each([
  ['amd64', 'i386'],
  ['aarch64', 'armv7l'],
  ['armv7l', 'armv6l'],
])('a host of %s runs %s as well', (host, arch) => {
  expect(() => checkRunnable(labels('linux', arch), host)).not.toThrow();
});

test.each([
  [labels(undefined, 'amd64'), 'missing os label in the image manifest'],
  [labels('linux'), 'missing arch label in the image manifest'],
  [labels('freebsd', 'amd64'), 'image is for os "freebsd", this host runs linux only'],
  [labels('linux', 'ppc64le'), 'image is for arch "ppc64le", this host runs amd64, i386'],
])('%j does not run on amd64', (given, message) => {
  expect(() => checkRunnable(given, 'amd64')).toThrow(message);
});

test('i386 does not run amd64', () => {
  expect(() => checkRunnable(labels('linux', 'amd64'), 'i386')).toThrow('this host runs i386');
});
