import type { ImageManifest } from '../appc/index.ts';
import { Stage1Error } from './error.ts';

/** The entry points of a stage1 image that this version calls, by the last part of their name. */
export type EntryPoint =
  | 'run'
  | 'enter'
  | 'gc'
  | 'stop'
  | 'app/add'
  | 'app/rm'
  | 'app/start'
  | 'app/stop';

const ANNOTATION = 'coreos.com/rkt/stage1/';

/** The version of the contract that our own stage1 images declare, and the newest we speak. */
const INTERFACE_VERSION = 6;

/** The metadata service as pods see it (appc), and the port that it has on the host (surface 11). */
export const METADATA_ADDRESS = '169.254.169.255';
export const METADATA_PORT = 18_112;

/** How a pod is to be started, as the arguments of `run` say it (contract version 6). */
export interface RunArguments {
  readonly debug: boolean;
  /** The networks in the grammar of `--net`; never empty. */
  readonly net: readonly string[];
  readonly interactive: boolean;
  /** Apps may come and go while the pod runs. */
  readonly mutable?: boolean;
  /** First host id and number of ids of the pod's user namespace. */
  readonly privateUsers?: { readonly shift: number; readonly count: number };
  /** The pod's credential at the metadata service. */
  readonly mdsToken?: string;
  readonly localConfig: string;
  readonly hostname?: string;
  /** Protections that `--insecure-options` turned off. */
  readonly insecure: {
    readonly capabilities: boolean;
    readonly paths: boolean;
    readonly seccomp: boolean;
  };
  readonly resolv: 'host' | 'stage0' | 'none' | 'default';
  readonly hosts: 'host' | 'stage0' | 'default';
  readonly ipc: 'auto' | 'private' | 'parent';
}

/** The path of an entry point inside the stage1 root, as the image's annotation names it. */
export function entryPoint(manifest: ImageManifest, name: EntryPoint): string {
  const path = annotation(manifest, name);
  if (path) return path;
  throw new Stage1Error(
    'no-entry-point',
    `the stage1 image ${manifest.name} has no entry point "${name}": use a stage1 that has annotation ${ANNOTATION}${name}`,
  );
}

/** The contract version that a stage1 image declares; 1 when it does not say. */
export function interfaceVersion(manifest: ImageManifest): number {
  return Number(annotation(manifest, 'interface-version') ?? 1);
}

function annotation(manifest: ImageManifest, name: string): string | undefined {
  return manifest.annotations.find((entry) => entry.name === ANNOTATION + name)?.value;
}

/** The annotations of a stage1 image made by this project. */
export function entryAnnotations(
  paths: Partial<Record<EntryPoint, string>>,
): ImageManifest['annotations'] {
  const named = Object.entries(paths).map(([name, value]) => ({ name: ANNOTATION + name, value }));
  return [...named, { name: `${ANNOTATION}interface-version`, value: String(INTERFACE_VERSION) }];
}

/**
 * The argument vector of `run` behind its own path, the UUID last. Options that a stage1 of an
 * older contract does not know are left out and named in `dropped`.
 */
export function runArgv(
  uuid: string,
  run: RunArguments,
  version: number,
): { argv: string[]; dropped: string[] } {
  const options: [since: number, option: string | false | undefined][] = [
    [1, run.debug && '--debug'],
    [1, `--net=${run.net.join(',')}`],
    [1, run.interactive && '--interactive'],
    [1, run.mutable && '--mutable'],
    [1, run.privateUsers && `--private-users=${run.privateUsers.shift}:${run.privateUsers.count}`],
    [1, run.mdsToken && `--mds-token=${run.mdsToken}`],
    [1, `--local-config=${run.localConfig}`],
    [2, run.hostname && `--hostname=${run.hostname}`],
    [3, run.insecure.capabilities && '--disable-capabilities-restriction'],
    [3, run.insecure.paths && '--disable-paths'],
    [3, run.insecure.seccomp && '--disable-seccomp'],
    [4, `--dns-conf-mode=resolv=${run.resolv},hosts=${run.hosts}`],
    [6, `--ipc=${run.ipc}`],
  ];
  const wanted = options.flatMap(([since, option]) => (option ? [{ since, option }] : []));
  return {
    argv: [...wanted.filter((o) => o.since <= version).map((o) => o.option), uuid],
    dropped: wanted.filter((o) => o.since > version).map((o) => o.option),
  };
}

/** Reads the argument vector that `runArgv` writes, for our own stage1 under another stage0. */
export function parseRunArgv(argv: readonly string[]): { uuid: string; run: RunArguments } {
  const given = new Map<string, string>();
  const operands: string[] = [];
  for (const word of argv) {
    const [, name, value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (name) given.set(name, value ?? 'true');
    else operands.push(word);
  }
  const [uuid] = operands;
  if (!uuid || operands.length > 1)
    throw new Stage1Error(
      'bad-arguments',
      `stage1 run: one UUID expected, got "${operands.join(' ')}"`,
    );
  const flag = (name: string) => given.get(name) === 'true';
  const [shift, count] = (given.get('private-users') ?? '').split(':').map(Number);
  const modes = new Map(
    (given.get('dns-conf-mode') ?? '')
      .split(',')
      .map((pair) => pair.split('=', 2) as [string, string]),
  );
  const hostname = given.get('hostname');
  const mdsToken = given.get('mds-token');
  return {
    uuid,
    run: {
      debug: flag('debug'),
      net: (given.get('net') ?? 'default').split(','),
      interactive: flag('interactive'),
      ...(flag('mutable') ? { mutable: true } : {}),
      ...(shift && count ? { privateUsers: { shift, count } } : {}),
      ...(mdsToken ? { mdsToken } : {}),
      localConfig: given.get('local-config') ?? '/etc/rkt',
      ...(hostname ? { hostname } : {}),
      insecure: {
        capabilities: flag('disable-capabilities-restriction'),
        paths: flag('disable-paths'),
        seccomp: flag('disable-seccomp'),
      },
      resolv: oneOf(modes.get('resolv'), ['host', 'stage0', 'none', 'default']),
      hosts: oneOf(modes.get('hosts'), ['host', 'stage0', 'default']),
      ipc: oneOf(given.get('ipc'), ['private', 'parent', 'auto']),
    },
  };
}

/** The word if it is one of the choices; the last choice when it is absent. */
function oneOf<const Choice extends string>(
  word: string | undefined,
  choices: readonly Choice[],
): Choice {
  const found = word === undefined ? choices.at(-1) : choices.find((choice) => choice === word);
  if (found === undefined)
    throw new Stage1Error(
      'bad-arguments',
      `stage1 run: "${word}" is not one of ${choices.join(', ')}`,
    );
  return found;
}
