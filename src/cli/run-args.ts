import { resolve } from 'node:path';
import { parseMountFlag, parsePortFlag, parseVolumeFlag } from '../appc/flags.ts';
import type { PodRequest } from '../appc/index.ts';
import { appRequest, readFlag, readUnique } from './app-args.ts';
import type { Context } from './context.ts';
import { usageError } from './error.ts';
import type { Flags } from './flags.ts';
import {
  type HostsChoice,
  type NetworkChoice,
  parseHosts,
  parseNetworks,
  parseResolver,
  type ResolverChoice,
} from './network-args.ts';

export type { HostsChoice, NetworkChoice, ResolverChoice };

/** Where the apps come from: images of the command line, or a ready pod manifest, a file or JSON. */
export type PodSource =
  | { readonly kind: 'images'; readonly request: PodRequest }
  | { readonly kind: 'manifest'; readonly path: string }
  | { readonly kind: 'manifest'; readonly json: string };

/** `--stage1-KIND VALUE`; without one, the configuration decides. */
export interface Stage1Choice {
  readonly kind: 'url' | 'path' | 'name' | 'hash' | 'from-dir';
  readonly value: string;
}

export type PullPolicy = 'new' | 'never' | 'update';

/** What `run` and `prepare` have in common: everything that a prepared pod is made from. */
export interface PrepareArguments {
  readonly source: PodSource;
  readonly stage1: Stage1Choice | undefined;
  readonly pullPolicy: PullPolicy;
  readonly noOverlay: boolean;
  readonly privateUsers: boolean;
}

/** What `run` and `run-prepared` have in common: how a pod is started. */
export interface StartArguments {
  /** `none` and `host` stand alone; never empty. */
  readonly networks: readonly NetworkChoice[];
  /** Undefined: what the network or the image says. */
  readonly resolver: ResolverChoice | undefined;
  /** Undefined: what the image says. */
  readonly hosts: HostsChoice | undefined;
  /** Undefined: `rkt-UUID`. */
  readonly hostname: string | undefined;
  readonly ipc: 'auto' | 'private' | 'parent';
  readonly interactive: boolean;
  readonly detach: boolean;
  readonly mdsRegister: boolean;
}

export interface RunArguments extends PrepareArguments, StartArguments {
  /** Absolute path. */
  readonly uuidFileSave: string | undefined;
}

/**
 * What `rkt prepare` was asked for.
 *
 * @throws CliError for a value or a combination that can't be
 */
export function prepareArguments({ flags, images }: Context): PrepareArguments {
  return {
    source: source(flags, images),
    stage1: stage1Choice(flags),
    pullPolicy: pullPolicy(flags),
    noOverlay: flags.bool('no-overlay'),
    privateUsers: flags.bool('private-users'),
  };
}

/** How `rkt run` or `rkt run-prepared` is to start a pod. Throws as `prepareArguments`. */
export function startArguments({ flags }: Context): StartArguments {
  const networks = parseNetworks(flags);
  const ipc = flags.value('ipc');
  const start: StartArguments = {
    networks,
    resolver: parseResolver(flags),
    hosts: parseHosts(flags),
    hostname: flags.value('hostname') || undefined,
    ipc: ipc === 'private' || ipc === 'parent' ? ipc : 'auto',
    interactive: flags.bool('interactive'),
    detach: flags.bool('detach'),
    mdsRegister: flags.bool('mds-register'),
  };
  if (start.mdsRegister && isNetwork(networks, 'none'))
    throw usageError('--mds-register needs a network, but --net=none was given');
  if (start.interactive && start.detach)
    throw usageError('--interactive and --detach exclude each other');
  return start;
}

/** What `rkt run` was asked for. Throws as `prepareArguments`. */
export function runArguments(context: Context): RunArguments {
  const { flags, images } = context;
  const file = flags.value('uuid-file-save');
  const run: RunArguments = {
    ...prepareArguments(context),
    ...startArguments(context),
    uuidFileSave: file === undefined ? undefined : resolve(file),
  };
  for (const name of ['none', 'host'])
    if (flags.given('port') && isNetwork(run.networks, name))
      throw usageError(`--port needs a network of the pod's own, but --net=${name} was given`);
  if (run.interactive && images.length > 1) throw usageError('--interactive takes one image only');
  return run;
}

function isNetwork(networks: readonly NetworkChoice[], name: string): boolean {
  return networks.some((network) => network.name === name);
}

/** Flags that a pod manifest leaves no room for. */
const manifestConflicts = [
  'volume',
  'mount',
  'port',
  'inherit-env',
  'set-env',
  'set-env-file',
  'store-only',
  'no-store',
];

function source(flags: Flags, images: Context['images']): PodSource {
  const path = flags.value('pod-manifest');
  if (path === undefined) {
    if (images.length === 0)
      throw usageError('must provide at least one image or specify the pod manifest');
    return { kind: 'images', request: podRequest(flags, images) };
  }
  const conflict = manifestConflicts.find((name) => flags.given(name));
  if (images.length > 0 || conflict !== undefined || pullPolicy(flags) !== 'new')
    throw usageError(
      `conflicting flags set with --pod-manifest: ${images[0]?.reference ?? `--${conflict ?? 'pull-policy'}`}`,
    );
  return { kind: 'manifest', ...(path.startsWith('{') ? { json: path } : { path: resolve(path) }) };
}

function podRequest(flags: Flags, images: Context['images']): PodRequest {
  const request: PodRequest = {
    apps: images.map(appRequest),
    volumes: readFlag(flags, 'volume', parseVolumeFlag),
    mounts: readFlag(flags, 'mount', parseMountFlag),
    ports: readFlag(flags, 'port', parsePortFlag),
    setEnv: readUnique(flags, 'set-env', 'environment'),
    setEnvFiles: [...flags.values('set-env-file')],
    inheritEnv: flags.bool('inherit-env'),
  };
  checkMounts(request);
  return request;
}

/** Every mount needs a declared volume: told before a pod is begun. */
function checkMounts({ apps, volumes, mounts }: PodRequest): void {
  const declared = new Set(volumes.map(({ name }) => name));
  for (const { volume, path, appVolume } of [...mounts, ...apps.flatMap((app) => app.mounts)])
    if (!appVolume && !declared.has(volume))
      throw usageError(`dangling mount point "${path}": volume "${volume}" not found`);
}

/** The one `--stage1-…` flag that was given. */
export function stage1Choice(flags: Flags): Stage1Choice | undefined {
  const kinds = (['url', 'path', 'name', 'hash', 'from-dir'] as const).filter((kind) =>
    flags.given(`stage1-${kind}`),
  );
  const [kind, other] = kinds;
  if (kind === undefined) return undefined;
  if (other !== undefined)
    throw usageError(`flags --stage1-${kind} and --stage1-${other} are mutually exclusive`);
  const [value = '', again] = flags.values(`stage1-${kind}`);
  if (again !== undefined) throw usageError(`--stage1-${kind} already used`);
  return { kind, value };
}

/** What `--pull-policy`, or one of the flags that it replaces, says. */
export function pullPolicy(flags: Flags): PullPolicy {
  const storeOnly = flags.bool('store-only');
  const noStore = flags.bool('no-store');
  if (storeOnly && noStore) throw usageError('both --store-only and --no-store specified');
  if (storeOnly) return 'never';
  if (noStore) return 'update';
  const policy = flags.value('pull-policy');
  return policy === 'never' || policy === 'update' ? policy : 'new';
}
