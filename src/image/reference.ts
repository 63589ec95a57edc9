import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isACIdentifier } from '../appc/names.ts';
import type { NameValue } from '../appc/types.ts';
import { type DockerReference, parseDockerReference } from './docker-reference.ts';
import { ImageError } from './error.ts';

/** What a user's word for an image means. */
export type ImageReference =
  /** A stored image: `sha512-` and 2 to 64 hex digits. */
  | { kind: 'hash'; key: string }
  /** An appc name; labels as given, in their order, `:VERSION` as label `version`. */
  | { kind: 'name'; name: string; labels: NameValue[] }
  /** An ACI, an image layout folder or an archive: the content tells which. */
  | { kind: 'file'; path: string }
  | { kind: 'url'; url: string }
  | ({ kind: 'docker' } & DockerReference)
  /** `tag` is the `org.opencontainers.image.ref.name` that is wanted. */
  | { kind: 'oci' | 'oci-archive'; path: string; tag?: string }
  /** `tag` is `NAME:TAG` as `docker save` was given it. */
  | { kind: 'docker-archive'; path: string; tag?: string };

/** A reference to something on this machine. */
export type LocalReference = Extract<
  ImageReference,
  { kind: 'file' | 'oci' | 'oci-archive' | 'docker-archive' }
>;

type Of<Kind extends ImageReference['kind']> = Extract<ImageReference, { kind: Kind }>;

/**
 * Tells what a reference on the command line means: a key, an explicit scheme, a path that looks
 * like one or is there, else an appc name. Paths come back absolute.
 *
 * @throws ImageError `bad-reference`, `bad-key`
 */
export function parseImageReference(text: string): ImageReference {
  if (text === '') throw new ImageError('bad-reference', 'an image reference cannot be empty');
  if (/^(sha512-[0-9a-fA-F]*|(md5|sha1|sha224|sha256|sha384)-[0-9a-fA-F]+)$/.test(text))
    return { kind: 'hash', key: parseKeyPrefix(text) };
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(text);
  const explicit = scheme && parseScheme(scheme[1]?.toLowerCase() ?? '', scheme[2] ?? '', text);
  if (explicit) return explicit;
  if (looksLikePath(text) || isImagePath(text)) return { kind: 'file', path: resolve(text) };
  return parseNameReference(text);
}

/**
 * Checks what a user gave as image key and cuts it to the stored length, `sha512-` + 64 digits.
 *
 * @throws ImageError `bad-key` for another prefix, fewer than 2 digits or other characters
 */
export function parseKeyPrefix(text: string): string {
  const wrong = (why: string) =>
    new ImageError('bad-key', `bad image ID ${JSON.stringify(text)}: ${why}`);
  if (!text.startsWith('sha512-')) throw wrong('wrong key prefix, must be sha512-');
  const digits = text.slice('sha512-'.length).toLowerCase();
  if (digits.length < 2) throw wrong('image ID too short, give at least 2 digits after sha512-');
  if (!/^[0-9a-f]{2,128}$/.test(digits)) throw wrong('must be sha512- and at most 128 hex digits');
  return `sha512-${digits.slice(0, 64)}`;
}

/**
 * Reads `NAME[:VERSION][,label=value]*`.
 *
 * @throws ImageError `bad-reference`
 */
export function parseNameReference(text: string): Of<'name'> {
  const wrong = (why: string) => badReference(text, why);
  const [head = '', ...rest] = text.split(',');
  const colons = text.split(':').length - 1;
  if (colons > 1) throw wrong('a colon may appear at most once');
  if (colons === 1 && !head.includes(':'))
    throw wrong('a colon may appear only right after the name');

  const [name = '', version] = head.split(':');
  if (!isACIdentifier(name))
    throw wrong(
      'not a file here, and as an image name it must be lower-case letters and digits with single - . _ ~ / inside',
    );
  if (version === '') throw wrong('the version after the colon is empty');

  const labels: NameValue[] = version === undefined ? [] : [{ name: 'version', value: version }];
  for (const part of rest) {
    const equals = part.indexOf('=');
    if (equals < 0) throw wrong(`label "${part}" must be NAME=VALUE`);
    const label = { name: part.slice(0, equals), value: part.slice(equals + 1) };
    addLabel(labels, label, wrong);
  }
  return { kind: 'name', name, labels };
}

function addLabel(labels: NameValue[], label: NameValue, wrong: (why: string) => ImageError): void {
  if (!isACIdentifier(label.name) || label.name === 'name')
    throw wrong(`"${label.name}" cannot be a label`);
  if (labels.some(({ name }) => name === label.name))
    throw wrong(`multiple values for label "${label.name}"`);
  labels.push(label);
}

function badReference(text: string, why: string): ImageError {
  return new ImageError('bad-reference', `bad image reference ${JSON.stringify(text)}: ${why}`);
}

/** The reference for a scheme, or undefined when the text before the colon is no scheme of ours. */
function parseScheme(scheme: string, rest: string, text: string): ImageReference | undefined {
  switch (scheme) {
    case 'docker':
      return { kind: 'docker', ...parseDockerReference(rest.replace(/^\/\//, '')) };
    case 'oci':
    case 'oci-archive':
    case 'docker-archive':
      return parseLocal(scheme, rest, text);
    case 'http':
    case 'https':
    case 'file':
      return parseUrl(text);
    case 'cimd':
      return parseCimd(rest, text);
    default:
      if (rest.startsWith('//'))
        throw badReference(
          text,
          `"${scheme}" is no scheme for images; use docker, http, https or file`,
        );
      return undefined;
  }
}

/** `PATH[:TAG]`; the first colon divides, since a tag may have more of them. */
function parseLocal(
  kind: 'oci' | 'oci-archive' | 'docker-archive',
  rest: string,
  text: string,
): ImageReference {
  const colon = rest.indexOf(':');
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? '' : rest.slice(colon + 1);
  if (path === '') throw badReference(text, `a path must follow ${kind}:`);
  return { kind, path: resolve(path), ...(tag !== '' && { tag }) };
}

function parseUrl(text: string): ImageReference {
  if (!/^[a-z]+:\/\//i.test(text) || !URL.canParse(text))
    throw badReference(text, 'not a complete URL');
  const url = new URL(text);
  if (!url.pathname.endsWith('.aci'))
    throw badReference(text, 'the path of a URL must end in .aci');
  if (url.protocol !== 'file:') return { kind: 'url', url: url.href };
  if (url.host !== '' || /%2f/i.test(url.pathname))
    throw badReference(text, 'a file URL is file:// and an absolute path');
  return { kind: 'file', path: fileURLToPath(url) };
}

/** A distribution point as rkt writes it in JSON: `TYPE:v=VERSION:DATA`. */
function parseCimd(rest: string, text: string): ImageReference {
  const wrong = (why: string) => badReference(text, why);
  const [, type, version, data = ''] = /^([^:]*):v=([^:]*):(.*)$/s.exec(rest) ?? [];
  if (type === undefined) throw wrong('must be cimd:TYPE:v=VERSION:DATA');
  if (version !== '0') throw wrong(`version ${version} is unknown, must be 0`);
  const [subject = '', query = ''] = data.split('?', 2);
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch {
      throw wrong(`"${part}" is not URL-encoded`);
    }
  };
  switch (type) {
    case 'appc': {
      const reference = parseNameReference(decode(subject));
      for (const [name, value] of new URLSearchParams(query))
        addLabel(reference.labels, { name, value }, wrong);
      return reference;
    }
    case 'aci-archive':
      return parseUrl(decode(subject));
    case 'docker':
      return { kind: 'docker', ...parseDockerReference(data) };
    default:
      throw wrong(`type "${type}" is unknown, must be appc, aci-archive or docker`);
  }
}

function looksLikePath(text: string): boolean {
  return text.startsWith('/') || text.includes('./') || text.endsWith('.aci');
}

/** Whether a plain word names something here that can be an image: a file, or an OCI layout. */
function isImagePath(text: string): boolean {
  return isFile(text) || isFile(join(text, 'oci-layout'));
}

/** False as well for what cannot be looked at, such as a name that is too long. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
