import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capabilityNumber } from '../../src/appc/capabilities.ts';
import type { PodManifest, RuntimeApp } from '../../src/appc/index.ts';
import { readIfExists } from '../../src/os/files.ts';
import { makeFolderInRoot, removeTreeInRoot, writeInRoot } from '../../src/os/files-in-root.ts';
import type { IdRange } from '../../src/os/idmap.ts';
import { inFolderOfRoot, readInRoot } from '../../src/os/inroot.ts';
import { mountPoints } from '../../src/os/mount-points.ts';
import { inMountsOf } from '../../src/os/mounts-of.ts';
import { moveOwners } from '../../src/os/move-owners.ts';
import { unmount } from '../../src/os/syscalls.ts';
import { reload, SETTLE } from '../../src/stage1/app-control.ts';
import type { RunArguments } from '../../src/stage1/contract.ts';
import { addEnterRecord, removeEnterRecord } from '../../src/stage1/enter-record.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { ownersAreShifted, shiftOf } from '../../src/stage1/map-roots.ts';
import { isVolumeOf } from '../../src/stage1/mounts.ts';
import { passOn } from '../../src/stage1/pass-on.ts';
import type { Stage1Pod } from '../../src/stage1/pod-context.ts';
import {
  POD_FILES,
  podPid,
  readAppImageManifest,
  supervisorPid,
} from '../../src/stage1/pod-files.ts';
import { planService, type ServicePlan } from './app.ts';
import { handlers, POD, reapers } from './app-unit.ts';
import { checkSettings } from './controllers.ts';
import { mountVolumesFor } from './private-users.ts';
import { layOutAppEnds, relayWords } from './relay.ts';
import { tellRelay } from './relay-client.ts';
import { type Resolvers, resolverMode } from './resolvers.ts';
import { appStreams, type Caller, STREAMS } from './stdio.ts';
import { unitText } from './unit-text.ts';
import { appUnits, END } from './units.ts';

export { startApp, stopApp } from '../../src/stage1/app-control.ts';

/** What a pod that is running keeps of its start for the apps that come later. */
interface Runtime {
  readonly insecure: RunArguments['insecure'];
  readonly files: Pick<RunArguments, 'resolv' | 'hosts'>;
  readonly caller: Caller;
  readonly hostname: string;
  readonly journal: boolean;
  readonly metadataUrl: string | undefined;
  readonly users: IdRange | undefined;
  /** Undefined where the pod has no networks. */
  readonly resolvers: Resolvers | undefined;
  /** Limits that its cgroups have the controllers for, as settings of systemd. */
  readonly enforceable: readonly string[];
  /** Names of the credentials that it was given. */
  readonly credentials: readonly string[];
}

const RUNTIME = 'runtime-config';

/** Has a pod stay when it has no apps, and keeps what apps that come later need to know. */
export function layOutMutable(
  pod: Stage1Pod,
  { insecure, resolv, hosts, privateUsers: users }: RunArguments,
  network: Omit<Runtime, 'insecure' | 'files' | 'users'>,
): void {
  const root = join(pod.folder, POD_FILES.stage1Root);
  writeFileSync(join(root, 'rkt/mutable'), '');
  dropIn(root, 'default.target', [['Wants', POD]]);
  // A terminal for each app would have to be there when the container manager starts.
  const caller = { ...network.caller, terminals: [false, false] };
  const runtime = { ...network, caller, insecure, files: { resolv, hosts }, users };
  writeFileSync(join(pod.folder, RUNTIME), JSON.stringify(runtime), { mode: 0o640 });
}

/** Makes an app, whose root is mounted, known to a running pod, without starting it. */
export async function addApp(folder: string, pod: PodManifest, app: RuntimeApp): Promise<void> {
  const runtime: Runtime = JSON.parse(readFileSync(join(folder, RUNTIME), 'utf8'));
  const root = join(folder, POD_FILES.stage1Root);
  const plan = inMountsOf(supervisor(folder), () => {
    const { service, ...others } = planService({
      pod,
      app,
      image: readAppImageManifest(folder, app.name),
      stage1Root: root,
      insecure: runtime.insecure,
      streams: appStreams(runtime.caller, app),
      journal: runtime.journal,
      files: {
        ...runtime.files,
        resolv: resolverMode(root, app.name, runtime.files.resolv, runtime.resolvers),
      },
      metadataUrl: runtime.metadataUrl,
      hostname: runtime.hostname,
      userNamespace: runtime.users !== undefined,
    });
    const planned = { ...others, service: { ...service, credentials: runtime.credentials } };
    checkCapabilities(folder, planned);
    checkSettings(planned.service.limits, runtime.enforceable);
    mountVolumesFor(runtime.users, folder, root, planned.mounts);
    return planned;
  });
  passOn(folder, appVolumes(root, app.name));
  writeUnits(root, plan);
  addIds(root, plan);
  addEnterRecord(folder, plan.service);
  if (existsSync(join(root, 'rkt/relay'))) {
    const { users } = runtime;
    const ends = `${STREAMS}/${app.name}`;
    makeFolderInRoot(root, ends, 0o700);
    inFolderOfRoot(root, ends, (place) => {
      layOutAppEnds(place, plan.relayed);
      if (users && ownersAreShifted(folder)) moveOwners(`${place}/.`, shiftOf(users));
    });
    await tellRelay(folder, ['add', ...relayWords(plan.relayed)]);
  }
  reload(folder);
}

/** Takes everything of an app away that `addApp` may have made, as far as it did. */
export async function removeApp(folder: string, name: string): Promise<void> {
  const root = join(folder, POD_FILES.stage1Root);
  const units = join(root, 'rkt/units');
  const own = new Set(appUnitNames(name));
  const found = readdirSync(units).filter((file) => own.has(file.replace(/\.d$/, '')));
  for (const file of found) removeTreeInRoot(root, `/rkt/units/${file}`);
  if (podPid(folder) !== undefined) {
    if (existsSync(join(root, STREAMS, name))) await tellRelay(folder, ['remove', name]);
    if (found.length > 0) reload(folder);
    inMountsOf(supervisor(folder), () => {
      // A killed command may have made the place and mounted nothing there, or unmounted it already.
      const mounted = mountPoints();
      for (const place of appVolumes(root, name)) if (mounted.includes(place)) unmount(place);
    });
    passOn(folder, appVolumes(root, name));
  }
  for (const place of appVolumes(root, name)) removeTreeInRoot(root, place.slice(root.length));
  removeTreeInRoot(root, `${STREAMS}/${name}`);
  removeEnterRecord(folder, name);
}

function supervisor(folder: string): number {
  const pid = supervisorPid(folder);
  if (pid !== undefined) return pid;
  throw new Stage1Error('not-started', 'the pod has no supervisor: is it still starting?');
}

function appUnitNames(name: string): string[] {
  const app = { process: { name } };
  return [`${name}.service`, ...reapers(app), handlers(app)];
}

function appVolumes(root: string, name: string): string[] {
  const folder = join(root, 'rkt/volumes');
  return readdirSync(folder)
    .filter((id) => isVolumeOf(name, id))
    .map((id) => join(folder, id));
}

/** A failing app or handler does not end the pod, and may be started as often as anybody likes. */
function writeUnits(root: string, { service }: ServicePlan): void {
  for (const [name, text] of appUnits(service)) writeInRoot(root, `/rkt/units/${name}`, text);
  dropIn(root, `${service.process.name}.service`, [['StartLimitIntervalSec', '0']]);
  for (const reaper of reapers(service)) dropIn(root, reaper, [['Before', `${END} ${SETTLE}`]]);
  if (service.preStart || service.postStop)
    dropIn(root, handlers(service), [['FailureAction', 'none']]);
}

function dropIn(
  root: string,
  unit: string,
  settings: readonly (readonly [string, string])[],
): void {
  const folder = `/rkt/units/${unit}.d`;
  makeFolderInRoot(root, folder);
  writeInRoot(root, `${folder}/mutable.conf`, unitText([['Unit', settings]]));
}

/** systemd in the pod runs nobody whom it does not know. */
function addIds(root: string, { service }: ServicePlan): void {
  const { uid, gid, groups } = service.process;
  addLines(root, '/etc/passwd', [[uid, `gen${uid}:x:${uid}:${uid}::/:/bin/sh`]]);
  addLines(
    root,
    '/etc/group',
    [gid, ...groups].map((id) => [id, `gen${id}:x:${id}:`]),
  );
}

function addLines(
  root: string,
  file: string,
  wanted: readonly (readonly [id: number, line: string])[],
): void {
  const text = readInRoot(root, file) ?? '';
  const known = new Set(text.split('\n').map((line) => line.split(':')[2]));
  const lines = new Set(wanted.filter(([id]) => !known.has(String(id))).map(([, line]) => line));
  if (lines.size > 0) writeInRoot(root, file, `${text}${[...lines].join('\n')}\n`, 0o644);
}

/** capabilities(7): what the pod's first process lacks, nobody in the pod can have. */
function checkCapabilities(folder: string, { service }: ServicePlan): void {
  const status = readIfExists(`/proc/${podPid(folder)}/status`) ?? '';
  const bounding = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  for (const name of service.capabilities ?? [])
    if (((bounding >> BigInt(capabilityNumber(name))) & 1n) === 0n)
      throw new Stage1Error(
        'unsupported',
        `app "${service.process.name}" cannot have ${name}: the pod was started without it`,
      );
}
