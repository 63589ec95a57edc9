/**
 * Values of command line flags that describe a pod (`--volume`, `--mount`, `--port`, ...).
 * The messages name the value, not the flag: the command line parser puts the flag before them.
 */
import { checkCapability } from './capabilities.ts';
import { AppcError } from './error.ts';
import { cpuSharesRange, ioWeightRange, oomScoreAdjRange, tasksRange } from './isolators.ts';
import { isACIdentifier, isACName, isEnvironmentName, isIPAddress } from './names.ts';
import type { SeccompRequest } from './pod-request.ts';
import { bytes, parseQuantity } from './quantity.ts';
import { isRlimitName, parseRlimit, unknownRlimit } from './rlimits.ts';
import { checkSeccompNames } from './seccomp.ts';
import type { ExposedPort, Mount, NameValue, Volume } from './types.ts';
import { makeVolume, type VolumeFields } from './volume.ts';

const bad = (what: string, text: string, why: string) =>
  new AppcError('syntax', `bad ${what} ${JSON.stringify(text)}: ${why}`);

/**
 * `NAME,kind=host,source=/abs[,readOnly=B][,recursive=B]`, `NAME,kind=empty[,mode=M][,uid=N][,gid=N][,readOnly=B]`
 * or `NAME,kind=tmpfs` with what `empty` has and `size=QUANTITY`.
 */
export function parseVolumeFlag(text: string): Volume {
  const [name = '', ...rest] = text.split(',');
  if (!isACName(name)) throw bad('volume', text, `"${name}" is not an AC name`);
  const given = parameters('volume', rest, text);
  const fields: VolumeFields = { name, kind: 'host' };
  let kind: string | undefined;
  for (const [key, value] of given) {
    if (key === 'kind') kind = value;
    else if (key === 'source' || key === 'mode' || key === 'size') fields[key] = value;
    else if (key === 'readOnly' || key === 'recursive') fields[key] = parseBool(value);
    else if (key === 'uid' || key === 'gid') fields[key] = parseId(value);
    else throw bad('volume', text, `unknown volume parameter "${key}"`);
  }
  if (kind !== 'host' && kind !== 'empty' && kind !== 'tmpfs')
    throw bad(
      'volume',
      text,
      kind === undefined
        ? 'kind is missing'
        : `unknown kind "${kind}", must be host, empty or tmpfs`,
    );
  return makeVolume({ ...fields, kind });
}

/** `volume=NAME,target=PATH`; nothing in the path is decoded. */
export function parseMountFlag(text: string): Mount {
  const given = parameters('mount', text.split(','), text);
  for (const key of given.keys())
    if (key !== 'volume' && key !== 'target')
      throw bad('mount', text, `unknown mount parameter "${key}"`);
  const volume = given.get('volume') ?? '';
  const path = given.get('target') ?? '';
  if (!isACName(volume)) throw bad('mount', text, `volume "${volume}" is not an AC name`);
  if (path === '') throw bad('mount', text, 'target is missing');
  return { volume, path };
}

/** `NAME:[HOSTIP:]HOSTPORT`; an IPv6 address may stand in brackets. */
export function parsePortFlag(text: string): ExposedPort {
  const match = /^([^:]*):(?:(.*):)?(\d+)$/.exec(text);
  if (match === null) throw bad('port', text, 'must be NAME:[HOSTIP:]HOSTPORT');
  const [, name = '', address, number] = match;
  if (!isACName(name)) throw bad('port', text, `"${name}" is not an AC name`);
  const hostPort = Number(number);
  if (hostPort < 1 || hostPort > 65_535) throw bad('port', text, 'must be from 1 to 65535');
  if (address === undefined) return { name, hostPort };
  const hostIP = address.replace(/^\[(.*)\]$/, '$1');
  if (!isIPAddress(hostIP)) throw bad('port', text, `"${address}" is not an IP address`);
  return { name, hostPort, hostIP };
}

/** `mode=retain|remove[,errno=E][,SYSCALL|@SET...]`; of several modes the last counts. */
export function parseSeccompFlag(text: string): SeccompRequest {
  const set: string[] = [];
  let mode: string | undefined;
  let errno: string | undefined;
  for (const part of text.split(',')) {
    const [key = '', value] = split(part);
    if (value === undefined) set.push(key);
    else if (key === 'mode') mode = value;
    else if (key === 'errno') errno = value;
    else throw bad('seccomp filter', text, `unknown parameter "${key}"`);
  }
  if (mode !== 'retain' && mode !== 'remove')
    throw bad(
      'seccomp filter',
      text,
      mode === undefined ? 'mode is missing' : `unknown mode "${mode}", must be retain or remove`,
    );
  if (errno !== undefined && !/^(E[A-Z0-9]+)?$/.test(errno))
    throw bad('seccomp filter', text, `"${errno}" is not the name of an error, such as EPERM`);
  if (set.length === 0) throw bad('seccomp filter', text, 'set must be non-empty');
  for (const name of set)
    if (!/^(@[a-z0-9./-]+|[a-z0-9_]+)$/.test(name))
      throw bad('seccomp filter', text, `"${name}" is not the name of a system call or of a @set`);
  checkSeccompNames(set);
  return errno === undefined ? { mode, set } : { mode, set, errno };
}

/** `CAP_A,CAP_B`: at least one, each known. */
export function parseCapsFlag(text: string): string[] {
  const names = text.split(',');
  if (text === '') throw bad('capabilities', text, 'set must be non-empty');
  for (const name of names) checkCapability(name);
  return names;
}

/**
 * `NAME=VALUE`, split at the first `=`.
 *
 * @param kind what rules the name follows; `free` is any text
 */
export function parseNameValue(
  text: string,
  kind: 'environment' | 'annotation' | 'free' = 'free',
): NameValue {
  const [name = '', value] = split(text);
  if (value === undefined || name === '') throw bad('value', text, 'must be NAME=VALUE');
  if (kind === 'environment' && !isEnvironmentName(name))
    throw bad('value', text, `"${name}" is not the name of an environment variable`);
  if (kind === 'annotation' && !isACIdentifier(name))
    throw bad('value', text, `"${name}" is not an AC identifier`);
  return { name, value };
}

/** The list with one more entry. @throws AppcError `conflict` when it has one of that name */
export function addNameValue(list: readonly NameValue[], entry: NameValue): NameValue[] {
  if (list.some(({ name }) => name === entry.name))
    throw new AppcError('conflict', `key "${entry.name}" already set`);
  return [...list, entry];
}

/** A quantity of at least 4096 bytes, as text for the isolator. */
export function parseMemoryFlag(text: string): string {
  if (bytes(parseQuantity(text)) < 4096n)
    throw bad(
      'memory',
      text,
      'must be at least 4096 bytes (note that "m" is a thousandth, "M" a million)',
    );
  return text;
}

/** A positive quantity of cores, as text for the isolator. */
export function parseCpuFlag(text: string): string {
  if (parseQuantity(text).nano <= 0n) throw bad('cpu', text, 'must be more than 0');
  return text;
}

/** An integer in the range of the isolator; throws AppcError, as the next three do. */
export function parseCpuSharesFlag(text: string): number {
  return parseInteger('cpu-shares', text, ...cpuSharesRange);
}

/** An integer of the range that the kernel has: proc(5). */
export function parseOomScoreAdjFlag(text: string): number {
  return parseInteger('oom-score-adj', text, ...oomScoreAdjRange);
}

/** A weight: IOWeight= of systemd.resource-control(5). */
export function parseIoWeightFlag(text: string): number {
  return parseInteger('io-weight', text, ...ioWeightRange);
}

/** How many tasks at most: TasksMax= of systemd.resource-control(5). */
export function parseTasksFlag(text: string): number {
  return parseInteger('tasks', text, ...tasksRange);
}

/** `NAME=SOFT[:HARD]` as name and value, the value checked. */
export function parseUlimitFlag(text: string): [name: string, value: string] {
  const [name = '', value] = split(text);
  if (value === undefined) throw bad('ulimit', text, 'must be NAME=SOFT[:HARD]');
  if (!isRlimitName(name)) throw bad('ulimit', text, unknownRlimit);
  parseRlimit(value);
  return [name, value];
}

/** `N,N`; the empty text is the empty list. */
export function parseGidsFlag(text: string): number[] {
  return text === '' ? [] : text.split(',').map(parseId);
}

/** The spellings that Go's strconv.ParseBool takes. */
export function parseBool(text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw bad('boolean', text, 'must be true or false');
}

function parseId(text: string): number {
  return parseInteger('user or group id', text, 0, 0xfffffffe);
}

function parseInteger(what: string, text: string, min: number, max: number): number {
  const value = /^[+-]?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw bad(what, text, `must be an integer from ${min} to ${max}`);
}

/** `KEY=VALUE` parts by key; none twice, none without `=`. */
function parameters(what: string, parts: readonly string[], text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of parts) {
    const [key = '', value] = split(part);
    if (value === undefined) throw bad(what, text, `malformed string "${part}", must be KEY=VALUE`);
    if (found.has(key)) throw bad(what, text, `label "${key}" with multiple values`);
    found.set(key, value);
  }
  return found;
}

function split(text: string): [string, string?] {
  const at = text.indexOf('=');
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
