import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { parseJson } from '../appc/json.ts';
import { errnoOf } from '../os/error.ts';
import { BUILTIN_NETWORKS } from './builtin.ts';
import { NetError } from './error.ts';
import { listConfig, singleConfig } from './schema.ts';
import type { NetworkConfig } from './types.ts';

/** What `--net` asks for: a network, and the CNI_ARGS for its plugins. */
export interface NetworkRequest {
  readonly name: string;
  readonly args: string;
}

/** The version that a file without one is written in: CNI specification, "Version considerations". */
const OLDEST_VERSION = '0.1.0';

/**
 * The networks that are asked for, in the order in which they are joined: by file name, those of
 * the user's `folder` (net.d) and the built-ins alike. `all` stands for each there is.
 *
 * A file that cannot be read is in the way only of who asks for its network.
 *
 * @param warn told of files that are passed over
 * @throws NetError `not-found`, `bad-config`
 */
export function findNetworks(
  folder: string,
  requests: readonly NetworkRequest[],
  warn: (message: string) => void,
): { network: NetworkConfig; args: string }[] {
  const { networks, broken } = readNetworks(folder, warn);
  const all = requests.some(({ name }) => name === 'all');
  const [failed] = [...broken.values()];
  if (all && failed) throw failed;
  const missing = requests
    .map(({ name }) => name)
    .filter((name) => name !== 'all' && networks.every(({ network }) => network.name !== name));
  if (missing.length > 0) throw notFound(folder, missing, broken);
  const argsOf = new Map(requests.map(({ name, args }) => [name, args]));
  return networks
    .filter(({ network }) => all || argsOf.has(network.name))
    .map(({ network }) => ({ network, args: argsOf.get(network.name) ?? '' }));
}

function notFound(
  folder: string,
  missing: readonly string[],
  broken: ReadonlyMap<string, NetError>,
): NetError {
  const cause = missing.map((name) => broken.get(name)).find((error) => error !== undefined);
  if (cause) return cause;
  const [other] = [...broken.values()];
  const hint = other ? `; a file there cannot be read: ${other.message}` : '';
  return new NetError(
    'not-found',
    `networks not found: ${missing.join(', ')}: define them in ${folder}${hint}`,
    other,
  );
}

interface Known {
  readonly networks: { readonly file: string; readonly network: NetworkConfig }[];
  /** By the name of the network as far as it can be told, else the file's. */
  readonly broken: Map<string, NetError>;
}

/** Every network that is defined, and what is wrong with the files that define none. */
export function readNetworks(folder: string, warn: (message: string) => void): Known {
  const networks: { file: string; network: NetworkConfig }[] = [];
  const broken = new Map<string, NetError>();
  for (const file of configFiles(folder)) {
    const path = join(folder, file);
    try {
      const network = readNetwork(path);
      if (networks.some((known) => known.network.name === network.name))
        warn(`"${network.name}" network already defined, ignoring ${path}`);
      else networks.push({ file, network });
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      broken.set(nameInText(path) ?? file.replace(/\.conf(list)?$/, ''), error);
    }
  }
  const taken = new Set([...networks.map(({ network }) => network.name), ...broken.keys()]);
  networks.push(...BUILTIN_NETWORKS.filter(({ network }) => !taken.has(network.name)));
  networks.sort((one, other) => (one.file < other.file ? -1 : Number(one.file > other.file)));
  return { networks, broken };
}

function configFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /\.conf(list)?$/.test(name))
      .sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

/** The name that a file gives its network, even where the rest of it is of no use. */
function nameInText(path: string): string | undefined {
  try {
    return /"name"\s*:\s*"([^"]*)"/.exec(readFileSync(path, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/** A file of net.d: `.conf` holds one plugin, `.conflist` a chain of them. */
function readNetwork(path: string): NetworkConfig {
  const value = readJson(path);
  return path.endsWith('.conflist') ? networkOfList(path, value) : networkOfSingle(path, value);
}

function readJson(path: string): unknown {
  try {
    return parseJson(readFileSync(path, 'utf8'), 'network configuration');
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw new NetError('bad-config', `cannot use ${path}: ${why}`, error);
  }
}

function networkOfList(file: string, value: unknown): NetworkConfig {
  const list = checked(listConfig, file, value);
  return {
    name: list.name,
    cniVersion: list.cniVersion ?? OLDEST_VERSION,
    plugins: list.plugins,
    disableCheck: list.disableCheck ?? false,
    disableGc: list.disableGC ?? false,
    file,
  };
}

function networkOfSingle(file: string, value: unknown): NetworkConfig {
  const { name, cniVersion, ...plugin } = checked(singleConfig, file, value);
  return {
    name,
    cniVersion: cniVersion ?? OLDEST_VERSION,
    plugins: [plugin],
    disableCheck: false,
    disableGc: false,
    file,
  };
}

function checked<Schema extends z.ZodMiniType>(
  schema: Schema,
  file: string,
  value: unknown,
): z.output<Schema> {
  const parsed = z.safeParse(schema, value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw new NetError(
    'bad-config',
    `cannot use ${file}: ${field === '' ? '' : `${field}: `}${issue?.message ?? 'it is not a network configuration'}`,
    parsed.error,
  );
}
