import { sanitizeACIdentifier } from '../appc/names.ts';
import { ImageError } from './error.ts';

/** An image in a registry, with Docker's defaults filled in. */
export interface DockerReference {
  /** Host, with `:port` when given. */
  registry: string;
  repository: string;
  /** `latest` when neither tag nor digest is given. */
  tag?: string;
  /** `algorithm:hex`; wins over the tag. */
  digest?: string;
}

const registryHost = /^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?$/;
const repositoryPath = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const digestForm = /^[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-f]{32,}$/;

/** Docker Hub under the names that people use for it. */
const hub = 'registry-1.docker.io';
export const hubNames: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', hub]);

/**
 * Reads `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]` (distribution spec, "reference"): a first component
 * with a dot or colon, or `localhost`, is the registry, Docker Hub otherwise.
 *
 * @throws ImageError `bad-reference`
 */
export function parseDockerReference(text: string): DockerReference {
  const wrong = (why: string) =>
    new ImageError('bad-reference', `bad Docker reference ${JSON.stringify(text)}: ${why}`);

  const [rest = '', digest, more] = text.split('@');
  if (more !== undefined || (digest !== undefined && !digestForm.test(digest)))
    throw wrong('the digest must be ALGORITHM:HEX');

  const slash = rest.indexOf('/');
  const first = slash < 0 ? '' : rest.slice(0, slash);
  const named = /[.:]/.test(first) || first === 'localhost';
  if (named && !registryHost.test(first)) throw wrong(`"${first}" is no registry host`);
  const registry = !named || hubNames.has(first) ? hub : first;

  const path = named ? rest.slice(slash + 1) : rest;
  const colon = path.indexOf(':');
  const repository = colon < 0 ? path : path.slice(0, colon);
  if (!repositoryPath.test(repository))
    throw wrong('the repository must be lower-case letters and digits, with single / . _ - inside');
  const tag = colon < 0 ? undefined : path.slice(colon + 1);
  if (tag !== undefined && !tagName.test(tag))
    throw wrong('the tag must be up to 128 letters, digits, dots, underscores and dashes');

  return {
    registry,
    repository:
      registry === hub && !repository.includes('/') ? `library/${repository}` : repository,
    ...(tag !== undefined ? { tag } : digest === undefined && { tag: 'latest' }),
    ...(digest !== undefined && { digest }),
  };
}

/** What a repository's images are called in the store: `REGISTRY/REPOSITORY` as an appc name. */
export function storedName({ registry, repository }: DockerReference): string {
  return sanitizeACIdentifier(`${registry}/${repository}`);
}

/**
 * The name in the store for what Docker's users call an image, such as `clock` or `docker.io/me/app`;
 * undefined when that is no reference, or the same.
 */
export function longName(name: string): string | undefined {
  try {
    const long = storedName(parseDockerReference(name));
    return long === name ? undefined : long;
  } catch {
    return undefined;
  }
}
