/** Amounts of a resource: `128Mi`, `500m`, `1.5`, `1e3` (spec: ace.md, "Resource Isolators"). */
import { AppcError } from './error.ts';

/** An exact amount, in billionths of the unit (byte, core, ...). */
export interface Quantity {
  readonly nano: bigint;
}

const grammar = /^([+-]?)(\d+\.?\d*|\.\d+)(?:([numkKMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?$/;
const nanoPerUnit = 1_000_000_000n;
const largest = (1n << 63n) - 1n;

/**
 * Reads an amount exactly; digits beyond a billionth round away from zero.
 *
 * @throws AppcError `schema` for text of another form, or beyond 2^63 units
 */
export function parseQuantity(text: string): Quantity {
  const match = grammar.exec(text);
  if (match === null)
    throw new AppcError(
      'schema',
      `bad quantity ${JSON.stringify(text)}: must be a number with an optional suffix (Ki Mi Gi Ti Pi Ei, n u m k M G T P E, or an exponent)`,
    );
  const [, sign, digits = '', suffix, exponent] = match;
  const [whole = '', fraction = ''] = digits.split('.');
  const [scale, shift] = multiplier(suffix, exponent);
  const power = shift + 9 - fraction.length;
  const mantissa = BigInt(whole + fraction) * scale;
  const nano =
    power >= 0 ? mantissa * 10n ** BigInt(power) : divideUp(mantissa, 10n ** BigInt(-power));
  if (nano > largest * nanoPerUnit)
    throw new AppcError('schema', `bad quantity ${JSON.stringify(text)}: out of range`);
  return { nano: sign === '-' ? -nano : nano };
}

/** Bytes, a fraction rounded up. */
export function bytes(quantity: Quantity): bigint {
  return divideUp(quantity.nano, nanoPerUnit);
}

/** Thousandths of a core, a fraction rounded up. */
export function milliCores(quantity: Quantity): bigint {
  return divideUp(quantity.nano, 1_000_000n);
}

/** A factor and a power of ten. */
function multiplier(suffix: string | undefined, exponent: string | undefined): [bigint, number] {
  if (exponent !== undefined) return [1n, Number(exponent)];
  if (suffix === undefined) return [1n, 0];
  const binary = suffix.endsWith('i');
  const step = 'KMGTPE'.indexOf(suffix.charAt(0).toUpperCase()) + 1;
  if (binary) return [1n << BigInt(10 * step), 0];
  const small = { n: -9, u: -6, m: -3 }[suffix];
  return small === undefined ? [1n, 3 * step] : [1n, small];
}

/** Division that rounds up for positive numbers and truncates for negative ones. */
function divideUp(dividend: bigint, divisor: bigint): bigint {
  return dividend > 0n ? (dividend + divisor - 1n) / divisor : dividend / divisor;
}
