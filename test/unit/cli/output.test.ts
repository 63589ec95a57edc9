import { describe, expect, it } from 'vitest';
import { agoText, jsonText, sizeText, tableText, timeText } from '../../../src/cli/output.ts';

describe('tableText', () => {
  it('pads columns with as many tabs as align them', () => {
    expect(
      tableText([
        ['UUID', 'APP', 'STATE'],
        ['0123456789', 'a', 'running'],
      ]),
    ).toBe('UUID\t\tAPP\tSTATE\n0123456789\ta\trunning\n');
  });
  it('keeps a space after a cell that fills its tab stop', () => {
    expect(tableText([['12345678', 'x']])).toBe('12345678\tx\n');
    expect(
      tableText([
        ['1234567', 'x'],
        ['12345678', 'y'],
      ]),
    ).toBe('1234567\t\tx\n12345678\ty\n');
  });
  it('gives an empty cell its column', () => {
    expect(tableText([['', '', 'x']])).toBe('\t\tx\n');
  });
  it('has no character of a cell that a terminal or a script would obey', () => {
    expect(tableText([['a\u001b[2J', 'b\tc\nd']])).toBe('a\ufffd[2J\tb\ufffdc\ufffdd\n');
  });
  it('is empty without rows', () => {
    expect(tableText([])).toBe('');
  });
});

it('prints JSON on one line or indented by tabs', () => {
  expect(jsonText([{ a: 1 }], 'json')).toBe('[{"a":1}]\n');
  expect(jsonText({ a: 1 }, 'json-pretty')).toBe('{\n\t"a": 1\n}\n');
  expect(jsonText(null, 'json')).toBe('null\n');
});

it.each([
  [0, '0B'],
  [1023, '1023B'],
  [1024, '1.0KiB'],
  [1.2 * 1024 ** 2, '1.2MiB'],
  [63 * 1024 ** 2, '63MiB'],
  [1024 ** 2 - 1, '1.0MiB'],
  [9.99 * 1024, '10KiB'],
  [3 * 1024 ** 3, '3.0GiB'],
])('prints %d bytes as %s', (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});

it.each([
  [0, 'now'],
  [1000, '1 second ago'],
  [3 * 60_000 + 59_999, '3 minutes ago'],
  [3600_000, '1 hour ago'],
  [49 * 3600_000, '2 days ago'],
  [8 * 24 * 3600_000, '1 week ago'],
  [40 * 24 * 3600_000, '1 month ago'],
  [800 * 24 * 3600_000, '2 years ago'],
  [-5000, '5 seconds from now'],
])('prints a time %d ms ago as %s', (passed, text) => {
  expect(agoText(1_000_000_000_000 - passed, 1_000_000_000_000)).toBe(text);
});

describe('timeText', () => {
  it('trims zeros of the fraction', () => {
    const at = (milliseconds: number) => timeText(Date.UTC(2026, 0, 2, 3, 4, 5, milliseconds));
    expect(at(678)).toMatch(/^2026-01-0\d \d\d:\d\d:05\.678 [+-]\d{4} \S+$/);
    expect(at(600)).toMatch(/:05\.6 /);
    expect(at(0)).toMatch(/:05 /);
  });
});
