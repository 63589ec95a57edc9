import { expect, test } from 'vitest';
import { versionedName } from '../../../src/appc/versioned-name.ts';

const version = (value: string) => [{ name: 'version', value }];

test('an image is told by its name and version, or by its name where it has none', () => {
  expect(versionedName('example.org/a', version('1.0'))).toBe('example.org/a:1.0');
  expect(versionedName('example.org/a', version(''))).toBe('example.org/a');
  expect(versionedName('example.org/a', [])).toBe('example.org/a');
});

test('a version adds no line, as a further field of the journal would be', () => {
  expect(versionedName('example.org/a', version('1\nRKT_POD=x'))).toBe(
    'example.org/a:1\ufffdRKT_POD=x',
  );
});
