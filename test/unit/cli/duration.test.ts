import { describe, expect, it } from 'vitest';
import { durationFlag, parseDuration, parseWait, waitFlag } from '../../../src/cli/duration.ts';
import { contextOf } from './helpers.ts';

describe('parseDuration', () => {
  it.each([
    ['30m', 1_800_000],
    ['1h2m3.5s', 3_723_500],
    ['-1s', -1000],
    ['+1.5h', 5_400_000],
    ['0', 0],
    ['-0', 0],
    ['.5s', 500],
    ['100us', 0.1],
    ['24h', 86_400_000],
  ])('reads %s', (text, milliseconds) => {
    expect(parseDuration(text)).toBeCloseTo(milliseconds);
  });
  it.each(['', '-', '5', '5x', 's', '1h5', '1 h', '.s', '1s\n'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});

describe('parseWait', () => {
  it.each(['', '1', 't', 'true', 'True', '-1s'])('waits for ever with %j', (text) => {
    expect(parseWait(text)).toBe(Number.POSITIVE_INFINITY);
  });
  it.each(['0', 'f', 'false', '0s'])('does not wait with %j', (text) => {
    expect(parseWait(text)).toBe(0);
  });
  it('waits as long as a duration says', () => {
    expect(parseWait('1m30s')).toBe(90_000);
  });
  it('refuses a number without a unit', () => {
    expect(parseWait('5')).toBeUndefined();
  });
});

it('shows the usage for a --wait that is neither', () => {
  expect(() => waitFlag(contextOf('status', ['--wait=5', 'a']).flags, 'wait')).toThrow(
    expect.objectContaining({ code: 'usage', exitCode: 254 }),
  );
});

it('gives the default of a duration flag, and refuses a negative one', () => {
  expect(durationFlag(contextOf('gc', []).flags, 'grace-period')).toBe(1_800_000);
  expect(() => durationFlag(contextOf('gc', ['--grace-period=-1s']).flags, 'grace-period')).toThrow(
    '--grace-period: must be a duration',
  );
});
