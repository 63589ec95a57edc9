import { expect, test } from 'vitest';
import { bytes, milliCores, parseQuantity } from '../../../src/appc/index.ts';

test.each([
  ['4096', 4096n],
  ['1Gi', 1_073_741_824n],
  ['64M', 64_000_000n],
  ['1k', 1000n],
  ['1.5Ki', 1536n],
  ['2e3', 2000n],
  ['2E3', 2000n],
  ['2E', 2_000_000_000_000_000_000n],
  ['16m', 1n],
  ['0.1', 1n],
  ['1n', 1n],
  ['.5Ki', 512n],
  ['5.', 5n],
  ['+7', 7n],
  ['-3', -3n],
  ['0', 0n],
])('%s is %d bytes, fractions rounded up', (text, expected) => {
  expect(bytes(parseQuantity(text))).toBe(expected);
});

test.each([
  ['500m', 500n],
  ['1.5', 1500n],
  ['5m', 5n],
  ['100u', 1n],
  ['2', 2000n],
])('%s is %d thousandths of a core', (text, expected) => {
  expect(milliCores(parseQuantity(text))).toBe(expected);
});

test('many digits are exact', () => {
  expect(bytes(parseQuantity('9007199254740993'))).toBe(9_007_199_254_740_993n);
});

test.each(['', 'x', '1 Gi', '1gi', '1KB', '1.2.3', '.', '1e', '--1', '1mi', '1e1000', '0x10'])(
  '%j is refused',
  (text) => {
    expect(() => parseQuantity(text)).toThrow(/^bad quantity/);
  },
);

test('more than 2^63 units is out of range', () => {
  expect(() => parseQuantity('10E')).toThrow('out of range');
  expect(() => parseQuantity('1e999')).toThrow('out of range');
});
