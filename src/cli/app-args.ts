import {
  addNameValue,
  parseBool,
  parseCapsFlag,
  parseCpuFlag,
  parseCpuSharesFlag,
  parseGidsFlag,
  parseIoWeightFlag,
  parseMemoryFlag,
  parseMountFlag,
  parseNameValue,
  parseOomScoreAdjFlag,
  parseSeccompFlag,
  parseTasksFlag,
  parseUlimitFlag,
} from '../appc/flags.ts';
import { AppcError, type AppRequest, isACName, type NameValue } from '../appc/index.ts';
import type { ImageArgument } from './context.ts';
import { flagError, usageError } from './error.ts';
import type { Flags } from './flags.ts';
import { streamAnnotations } from './stream-args.ts';

/**
 * What an image and the flags that follow it ask for.
 *
 * @throws CliError naming the flag
 */
export function appRequest({ reference, flags, args }: ImageArgument): AppRequest {
  const request: AppRequest = {
    image: reference,
    args: [...(args ?? [])],
    mounts: readFlag(flags, 'mount', parseMountFlag),
    annotations: [...readUnique(flags, 'annotation', 'annotation'), ...streamAnnotations(flags)],
    environment: readUnique(flags, 'environment', 'environment'),
  };
  set(request, 'signature', once(flags, 'signature'));
  set(request, 'exec', once(flags, 'exec'));
  set(request, 'workingDirectory', last(flags, 'working-dir', asIs));
  set(request, 'readonlyRootfs', last(flags, 'readonly-rootfs', parseBool));
  set(request, 'user', last(flags, 'user', asIs));
  set(request, 'group', last(flags, 'group', asIs));
  set(request, 'supplementaryGids', last(flags, 'supplementary-gids', parseGidsFlag));
  set(request, 'name', last(flags, 'name', appName));
  set(request, 'userAnnotations', readMap(flags, 'user-annotation'));
  set(request, 'userLabels', readMap(flags, 'user-label'));
  set(request, 'memory', last(flags, 'memory', parseMemoryFlag));
  set(request, 'cpu', last(flags, 'cpu', parseCpuFlag));
  set(request, 'cpuShares', last(flags, 'cpu-shares', parseCpuSharesFlag));
  set(request, 'capsRetain', capabilities(flags, 'retain'));
  set(request, 'capsRemove', capabilities(flags, 'remove'));
  set(request, 'seccomp', last(flags, 'seccomp', parseSeccompFlag));
  set(request, 'oomScoreAdj', last(flags, 'oom-score-adj', parseOomScoreAdjFlag));
  set(request, 'ioWeight', last(flags, 'io-weight', parseIoWeightFlag));
  set(request, 'tasks', last(flags, 'tasks', parseTasksFlag));
  if (flags.given('ulimit'))
    set(request, 'ulimits', Object.fromEntries(readFlag(flags, 'ulimit', parseUlimitFlag)));
  set(request, 'restart', last(flags, 'restart', asIs));
  if (request.capsRetain && request.capsRemove)
    throw usageError(`--caps-retain and --caps-remove exclude each other (image ${reference})`);
  return request;
}

/** Every value of a flag, read by `parse`, whose errors then name the flag. */
export function readFlag<Value>(
  flags: Flags,
  name: string,
  parse: (text: string) => Value,
): Value[] {
  return flags.values(name).map((text) => {
    try {
      return parse(text);
    } catch (error) {
      throw error instanceof AppcError ? flagError(name, error.message, error.cause) : error;
    }
  });
}

/** The `NAME=VALUE` pairs of a flag, no name twice. */
export function readUnique(
  flags: Flags,
  name: string,
  kind: 'environment' | 'annotation',
): NameValue[] {
  let pairs: NameValue[] = [];
  readFlag(flags, name, (text) => {
    pairs = addNameValue(pairs, parseNameValue(text, kind));
  });
  return pairs;
}

/** The `NAME=VALUE` pairs of a flag as a map; undefined when it was not given. */
export function readMap(flags: Flags, name: string): Record<string, string> | undefined {
  if (!flags.given(name)) return undefined;
  const pairs = readFlag(flags, name, (text) => parseNameValue(text));
  return Object.fromEntries(pairs.map(({ name: key, value }) => [key, value]));
}

function last<Value>(
  flags: Flags,
  name: string,
  parse: (text: string) => Value,
): Value | undefined {
  return readFlag(flags, name, parse).at(-1);
}

function once(flags: Flags, name: string): string | undefined {
  const [value, again] = flags.values(name);
  if (again !== undefined) throw usageError(`--${name} is allowed once per image`);
  return value;
}

function capabilities(flags: Flags, verb: 'retain' | 'remove'): string[] | undefined {
  return last(flags, `caps-${verb}`, parseCapsFlag) ?? last(flags, `cap-${verb}`, parseCapsFlag);
}

function appName(text: string): string {
  if (!isACName(text))
    throw flagError(
      'name',
      `"${text}" is not an AC name (lower-case letters, digits, inner dashes)`,
    );
  return text;
}

function asIs(text: string): string {
  return text;
}

/** Leaves a key out rather than setting it to undefined. */
function set<Key extends keyof AppRequest>(
  request: AppRequest,
  key: Key,
  value: AppRequest[Key] | undefined,
): void {
  if (value !== undefined) Object.assign(request, { [key]: value });
}
