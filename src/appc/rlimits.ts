/** Limits of the kernel for each process: getrlimit(2), `os/linux/rlimits`, `--ulimit`. */
import { AppcError } from './error.ts';

/** By the names of ulimit and limits.conf(5), which are those of RLIMIT_* in lower case. */
const rlimitNames = [
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
] as const;

/** Infinity: no limit. The unit is the kernel's: bytes, seconds, a number of things. */
export interface Rlimit {
  soft: number;
  hard: number;
}

/**
 * `SOFT[:HARD]`, each a number or `unlimited`; one alone is both.
 *
 * @throws AppcError `schema`
 */
export function parseRlimit(text: string): Rlimit {
  const match = /^(\d{1,15}|unlimited|-1)(?::(\d{1,15}|unlimited|-1))?$/.exec(text);
  if (match === null)
    throw new AppcError(
      'schema',
      `bad limit "${text}": must be SOFT[:HARD], numbers or "unlimited"`,
    );
  const amount = (word = '') => (/^\d/.test(word) ? Number(word) : Number.POSITIVE_INFINITY);
  const [, soft, hard] = match;
  const limit = { soft: amount(soft), hard: amount(hard ?? soft) };
  if (limit.soft <= limit.hard) return limit;
  throw new AppcError('schema', `bad limit "${text}": the soft limit is above the hard one`);
}

/** Whether it is the name of a limit of setrlimit(2), as flags write it. */
export function isRlimitName(name: string): boolean {
  return rlimitNames.some((known) => known === name);
}

export const unknownRlimit = `unknown limit, must be one of ${rlimitNames.join(', ')}`;
