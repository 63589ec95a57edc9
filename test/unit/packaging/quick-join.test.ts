import { join } from 'node:path';
import { expect, test } from 'vitest';
import { quickJoin } from '../../../packaging/packs.mjs';

const PARTS = [
  '',
  '/',
  '.',
  '..',
  'a',
  '/a',
  'a/',
  '.a',
  'a.',
  'a/b',
  'a//b',
  'a/./b',
  'a/../b',
  'a/..',
];

test('paths of packed code are joined as Node joins them', () => {
  const quick = quickJoin(join);
  const lists = [
    [],
    ...PARTS.flatMap((a) => [
      [a],
      ...PARTS.flatMap((b) => [
        [a, b],
        [a, b, 'c'],
      ]),
    ]),
  ];
  expect(lists.map((parts) => quick(...parts))).toEqual(lists.map((parts) => join(...parts)));
});
