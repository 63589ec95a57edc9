import { join } from 'node:path';
import * as z from 'zod/mini';
import { AppcError } from '../../appc/error.ts';
import { object, stringMap, text, validate } from '../../appc/schema.ts';
import { type Config, ConfigError } from '../../config/index.ts';
import { readIfExists } from '../../os/files.ts';
import { hubNames } from '../docker-reference.ts';
import { askCredentialHelper } from './credential-helper.ts';

/** What a user has for a registry, and where it stands. */
export type RegistryCredentials = { readonly origin: string } & (
  | { readonly user: string; readonly password: string }
  /** An OAuth2 refresh token, which the token server takes in place of a password. */
  | { readonly identityToken: string }
);

const entry = object({
  auth: z.optional(text),
  username: z.optional(text),
  password: z.optional(text),
  identitytoken: z.optional(text),
});
const authFile = object({
  auths: z._default(z.record(z.string(), entry), {}),
  credHelpers: stringMap,
  credsStore: z.optional(text),
});
type AuthFile = z.infer<typeof authFile>;

/** Who asks: a registry and one of its repositories. */
interface Scope {
  readonly registry: string;
  readonly repository: string;
}

/**
 * The credentials for a registry: those of rkt's auth.d, else those that `podman login` or `docker
 * login` left (containers-auth.json(5), docker's config.json). The first that has any counts.
 *
 * @throws ConfigError for a file that cannot be read or a helper that fails, ImageError
 * `missing-program`
 */
export async function findCredentials(
  scope: Scope,
  dockerAuth: Config['dockerAuth'],
  env: NodeJS.ProcessEnv = process.env,
): Promise<RegistryCredentials | undefined> {
  for (const name of namesOf(scope.registry)) {
    const own = dockerAuth.get(name);
    if (own) return { ...own, origin: 'auth.d of the configuration' };
  }
  for (const path of authFiles(env)) {
    const content = readAuthFile(path, path === env['REGISTRY_AUTH_FILE']);
    const found = content && (await findInFile(content, path, scope));
    if (found) return found;
  }
  return undefined;
}

function authFiles(env: NodeJS.ProcessEnv): string[] {
  const runtime = env['XDG_RUNTIME_DIR'] || `/run/containers/${process.getuid?.()}`;
  const home = env['DOCKER_CONFIG'] || (env['HOME'] && join(env['HOME'], '.docker'));
  return [
    env['REGISTRY_AUTH_FILE'],
    env['XDG_RUNTIME_DIR'] ? join(runtime, 'containers/auth.json') : join(runtime, 'auth.json'),
    home && join(home, 'config.json'),
  ].flatMap((path) => path || []);
}

function readAuthFile(path: string, required: boolean): AuthFile | undefined {
  let content: string | undefined;
  try {
    content = readIfExists(path);
  } catch (error) {
    throw new ConfigError('unreadable', `cannot read the registry credentials in ${path}`, error);
  }
  if (content === undefined && required)
    throw new ConfigError(
      'unreadable',
      `cannot read the registry credentials in ${path}, which REGISTRY_AUTH_FILE names: no such file`,
    );
  if (content === undefined) return undefined;
  const what = `registry credentials ${path}`;
  try {
    return validate(authFile, JSON.parse(content), what);
  } catch (error) {
    // What a parser quotes of the file may be a password.
    const why = error instanceof AppcError ? error.message : `bad ${what}: not JSON`;
    throw new ConfigError('invalid', why);
  }
}

async function findInFile(
  { auths, credHelpers, credsStore }: AuthFile,
  path: string,
  scope: Scope,
): Promise<RegistryCredentials | undefined> {
  const names = namesOf(scope.registry);
  const helper = names.map((name) => credHelpers[name]).find((found) => found !== undefined);
  if (helper !== undefined) return askCredentialHelper(helper, serverOf(scope.registry));
  const written = new Map(Object.entries(auths).map(([key, value]) => [plainKey(key), value]));
  for (const key of keysOf(scope, names)) {
    const found = written.get(key);
    const credentials = found && readEntry(found, key, path);
    if (credentials) return credentials;
  }
  return credsStore ? askCredentialHelper(credsStore, serverOf(scope.registry)) : undefined;
}

/** All names of a registry, its own first: Docker Hub has several. */
function namesOf(registry: string): string[] {
  return hubNames.has(registry) ? [...hubNames] : [registry];
}

/** How docker calls a registry towards its helpers. */
function serverOf(registry: string): string {
  return hubNames.has(registry) ? 'https://index.docker.io/v1/' : registry;
}

/** What an entry may be for, the most specific first: `HOST/a/b`, `HOST/a`, `HOST`. */
function keysOf({ repository }: Scope, names: readonly string[]): string[] {
  const parts = repository.split('/');
  const paths = parts.map((_, n) => `/${parts.slice(0, parts.length - n).join('/')}`);
  return [...paths, ''].flatMap((path) => names.map((name) => `${name}${path}`));
}

/** `https://HOST/v1/`, as docker used to write, is `HOST`. */
function plainKey(key: string): string {
  const [, host] = /^https?:\/\/([^/]+)/.exec(key) ?? [];
  return host ?? key;
}

/** Undefined for the empty entry that marks a registry whose credentials a helper keeps. */
function readEntry(
  { auth, username, password, identitytoken }: z.infer<typeof entry>,
  key: string,
  path: string,
): RegistryCredentials | undefined {
  const origin = path;
  if (identitytoken) return { identityToken: identitytoken, origin };
  if (!auth) return username ? { user: username, password: password ?? '', origin } : undefined;
  const [, user, secret] = /^([^:]+):(.*)$/s.exec(Buffer.from(auth, 'base64').toString()) ?? [];
  if (user === undefined || secret === undefined)
    throw new ConfigError(
      'invalid',
      `bad registry credentials ${path}: auths[${JSON.stringify(key)}].auth is not USER:PASSWORD in base64`,
    );
  // Docker used to fill the value up with NULs.
  return { user, password: secret.replace(/\0+$/, ''), origin };
}
