/** The scalar types of the spec (spec: types.md) as predicates and parsers. */
import { AppcError } from './error.ts';

const acName = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const acIdentifier = /^[a-z0-9]+([-._~/][a-z0-9]+)*$/;
const semVer =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;
const imageHash = /^sha512-([0-9a-f]{64}|[0-9a-f]{128})$/;

/** Name of an app, volume, port or mount point: lower-case alphanumerics with single inner `-`. */
export function isACName(text: string): boolean {
  return acName.test(text);
}

/** Name of an image, label, annotation or isolator: as ACName, with `.`, `_`, `~`, `/` as well. */
export function isACIdentifier(text: string): boolean {
  return acIdentifier.test(text);
}

/** Full `major.minor.patch[-pre][+meta]`, nothing before or after it. */
export function isSemVer(text: string): boolean {
  return semVer.test(text);
}

/**
 * The nearest ACName: lower case, every run of other characters one `-`, none at the edges.
 *
 * @throws AppcError `schema` when nothing is left
 */
export function sanitizeACName(text: string): string {
  return sanitize(text, /[^a-z0-9]+/g, '-', 'app container name');
}

/**
 * The nearest ACIdentifier: lower case, every run of illegal characters one `_`, separators neither
 * doubled nor at the edges.
 *
 * @throws AppcError `schema` when nothing is left
 */
export function sanitizeACIdentifier(text: string): string {
  return sanitize(text, /[^a-z0-9._~/-]+/g, '_', 'app container identifier');
}

function sanitize(text: string, illegal: RegExp, by: string, what: string): string {
  const clean = text
    .toLowerCase()
    .replace(illegal, by)
    .replace(/([-._~/])[-._~/]+/g, '$1')
    .replace(/^[-._~/]+|[-._~/]+$/g, '');
  if (clean === '')
    throw new AppcError('schema', `cannot make an ${what} from ${JSON.stringify(text)}`);
  return clean;
}

/**
 * The image key for a hash: `sha512-` and the first 64 of its 64 or 128 hex digits.
 *
 * @throws AppcError `schema` for another algorithm, length or alphabet
 */
export function parseImageHash(text: string): string {
  const [algorithm, digits, rest] = text.toLowerCase().split('-');
  const wrong = (why: string) =>
    new AppcError('schema', `bad image hash ${JSON.stringify(text)}: ${why}`);
  if (digits === undefined || rest !== undefined) throw wrong('must be sha512-HEX');
  if (algorithm !== 'sha512') throw wrong(`unsupported algorithm "${algorithm}", must be sha512`);
  if (!imageHash.test(`sha512-${digits}`)) throw wrong('must have 64 or 128 hex digits');
  return `sha512-${digits.slice(0, 64)}`;
}

const ipv4 = /^(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/;

/** Whether the text is an IPv4 or IPv6 address (without `node:net`, which takes 5 ms to load). */
export function isIPAddress(text: string): boolean {
  return (
    ipv4.test(text) ||
    (/^[0-9a-fA-F:.]*$/.test(text) && text.includes(':') && URL.canParse(`http://[${text}]/`))
  );
}

/** Whether the text may name an environment variable (spec: aci.md, "environment"). */
export function isEnvironmentName(text: string): boolean {
  return /^[A-Za-z_][A-Za-z_0-9.-]*$/.test(text);
}
