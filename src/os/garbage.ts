import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of buffers after which those that nobody uses any more are freed. */
const INTERVAL = 4 << 20;

let passed = 0;
let collect: (() => void) | undefined;

/**
 * Tells that buffers of `bytes` have been used up. Left alone V8 lets some 32 MB of them pile up, which
 * would be a third of all that a fetch needs. They are young: a collection of what is, which takes no
 * millisecond, frees them, and a whole one would take a fifth of a fetch's processor time.
 */
export function passedBytes(bytes: number): void {
  passed += bytes;
  if (passed < INTERVAL) return;
  passed = 0;
  collect ??= collector();
  collect();
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  return typeof gc === 'function' ? () => gc({ type: 'minor' }) : () => {};
}
