import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { ConfigError } from './error.ts';
import type { Config, ConfigRoots, DockerCredentials, HttpCredentials } from './types.ts';

/** The folders of a root, in the order in which they are read. */
const folders = ['auth.d', 'paths.d', 'stage1.d'] as const;
export type ConfigFolder = (typeof folders)[number];

/** What one file defines, by kind. A key absent here is not defined by that file. */
export interface Definitions {
  readonly auth?: ReadonlyMap<string, HttpCredentials>;
  readonly dockerAuth?: ReadonlyMap<string, DockerCredentials>;
  readonly paths?: Config['paths'];
  readonly stage1?: Config['stage1'];
}

interface Draft {
  readonly auth: Map<string, HttpCredentials>;
  readonly dockerAuth: Map<string, DockerCredentials>;
  paths: Config['paths'];
  stage1: Config['stage1'];
}

/**
 * Reads and merges the configuration: an entry of a later root replaces that of an earlier one, key
 * by key (domain, registry, each path, the stage1 image, the stage1 location).
 *
 * @throws ConfigError naming the file and the key
 */
export async function readConfig(roots: ConfigRoots): Promise<Config> {
  const config: Draft = { auth: new Map(), dockerAuth: new Map(), paths: {}, stage1: {} };
  for (const root of [roots.system, roots.local, roots.user])
    if (root !== undefined) for (const folder of folders) await readFolder(root, folder, config);
  return config;
}

async function readFolder(root: string, folder: ConfigFolder, config: Draft): Promise<void> {
  const path = join(root, folder);
  const names = jsonFiles(path);
  if (names.length === 0) return;
  const { parseDefinitions } = await import('./schema.ts');
  const definedBy = new Map<string, string>();
  for (const name of names) {
    const file = join(path, name);
    const definitions = parseDefinitions(folder, file, read(file));
    for (const key of keysOf(definitions)) {
      const other = definedBy.get(key);
      if (other !== undefined)
        throw new ConfigError(
          'conflict',
          `bad configuration ${file}: ${key} is already defined by ${basename(other)}; remove one of them`,
        );
      definedBy.set(key, file);
    }
    merge(config, definitions);
  }
}

/** The regular files ending in .json, sorted. Other names, links and folders are ignored. */
function jsonFiles(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw new ConfigError('unreadable', `cannot list configuration folder ${path}`, error);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError('unreadable', `cannot read configuration ${file}`, error);
  }
}

/** Names what a file defines, as an administrator would. */
function keysOf({ auth, dockerAuth, paths, stage1 }: Definitions): string[] {
  return [
    ...[...(auth?.keys() ?? [])].map((domain) => `auth of domain "${domain}"`),
    ...[...(dockerAuth?.keys() ?? [])].map((registry) => `auth of registry "${registry}"`),
    ...(paths?.data === undefined ? [] : ['path "data"']),
    ...(paths?.stage1Images === undefined ? [] : ['path "stage1-images"']),
    ...(stage1?.image === undefined ? [] : ['the stage1 name and version']),
    ...(stage1?.location === undefined ? [] : ['the stage1 location']),
  ];
}

function merge(config: Draft, { auth, dockerAuth, paths, stage1 }: Definitions): void {
  for (const [domain, credentials] of auth ?? []) config.auth.set(domain, credentials);
  for (const [registry, credentials] of dockerAuth ?? [])
    config.dockerAuth.set(registry, credentials);
  config.paths = { ...config.paths, ...paths };
  config.stage1 = { ...config.stage1, ...stage1 };
}
