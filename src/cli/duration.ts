import { flagError, usageError } from './error.ts';
import { type Flags, parseBool } from './flags.ts';

const milliseconds: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
};
const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;

/**
 * Milliseconds of a duration as Go writes it: `30m`, `1h2m3.5s`, `-1s`, `0`. Undefined for anything
 * else, a number without a unit included. See Go's time.ParseDuration.
 */
export function parseDuration(text: string): number | undefined {
  const [, sign, amount = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (amount === '0') return 0;
  if (amount === '') return undefined;
  let total = 0;
  part.lastIndex = 0;
  for (let at = 0; at < amount.length; at = part.lastIndex) {
    const [, count, unit = ''] = part.exec(amount) ?? [];
    if (count === undefined) return undefined;
    total += Number(count) * (milliseconds[unit] ?? Number.NaN);
  }
  return sign === '-' ? -total : total;
}

/**
 * How long `--wait=TEXT` waits, in milliseconds: 0 not at all, Infinity for ever. Empty or true waits
 * for ever, as a negative duration does; undefined for text that is neither.
 */
export function parseWait(text: string): number | undefined {
  if (text === '') return Number.POSITIVE_INFINITY;
  const literal = parseBool(text);
  if (literal !== undefined) return literal ? Number.POSITIVE_INFINITY : 0;
  const duration = parseDuration(text);
  return duration !== undefined && duration < 0 ? Number.POSITIVE_INFINITY : duration;
}

/** Milliseconds of a flag that takes a duration; it must not be negative. */
export function durationFlag(flags: Flags, name: string): number {
  const text = flags.value(name) ?? '';
  const duration = parseDuration(text);
  if (duration === undefined || duration < 0)
    throw flagError(name, `must be a duration such as 30m or 1h30m, not "${text}"`);
  return duration;
}

/** Milliseconds that a flag such as `--wait` waits, see `parseWait`. */
export function waitFlag(flags: Flags, name: string): number {
  const text = flags.value(name) ?? '';
  const wait = parseWait(text);
  if (wait === undefined)
    throw usageError(
      `--${name}: must be true, false or a duration with its unit such as 30s, not "${text}"`,
    );
  return wait;
}
