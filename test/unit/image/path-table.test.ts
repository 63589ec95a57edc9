import { expect, test } from 'vitest';
import { PathTable } from '../../../src/image/path-table.ts';

test('a table gives back the value of each path, and none for others', () => {
  const table = new PathTable();
  const path = (n: number): string => `${'x/'.repeat(n % 9)}${n}`;
  for (let n = 0; n < 20_000; n++) table.set(path(n), 1 + (n % 255));
  expect(table.size).toBe(20_000);
  for (let n = 0; n < 20_000; n++) expect(table.get(path(n))).toBe(1 + (n % 255));
  for (let n = 20_000; n < 40_000; n++) expect(table.get(path(n))).toBe(0);
});

test('a path that is set again counts once', () => {
  const table = new PathTable();
  table.set('a', 1);
  table.set('a', 2);
  expect([table.size, table.get('a'), table.get('')]).toEqual([1, 2, 0]);
});

test('the paths of the largest archive take little memory', () => {
  const table = new PathTable();
  const before = process.memoryUsage().arrayBuffers;
  for (let n = 0; n < 1_500_000; n++) table.set(`rootfs/usr/share/doc/package/${n}`, 1);
  // The present table and what the collector has not freed of the earlier, smaller ones.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 << 20);
});
