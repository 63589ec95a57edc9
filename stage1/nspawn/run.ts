import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PodManifest } from '../../src/appc/index.ts';
import { enterCgroup, ownCgroup } from '../../src/os/cgroup.ts';
import { errnoOf } from '../../src/os/error.ts';
import type { IdRange } from '../../src/os/idmap.ts';
import { execve, MS, mount } from '../../src/os/syscalls.ts';
import { METADATA_ADDRESS, METADATA_PORT, type RunArguments } from '../../src/stage1/contract.ts';
import { writeEnterRecord } from '../../src/stage1/enter-record.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import type { Stage1Pod } from '../../src/stage1/pod-context.ts';
import { POD_FILES, readAppImageManifest, readPodManifest } from '../../src/stage1/pod-files.ts';
import { unitCredentials } from '../../src/systemd/credentials.ts';
import {
  findProgram,
  hasUnifiedCgroup,
  type Supervision,
  supervision,
} from '../../src/systemd/host.ts';
import { requestScope } from '../../src/systemd/scope.ts';
import { planService, type ServicePlan } from './app.ts';
import { enterControllers, planBounds, SETUP, writeSetup } from './bounds.ts';
import { type NspawnPod, nspawnArgv, nspawnEnvironment } from './command.ts';
import { listenEnvironment, planSockets, withSockets } from './listen.ts';
import type { PodNetwork } from './network.ts';
import { enterNetwork, mountMapped } from './private-users.ts';
import { relayed } from './relay.ts';
import { resolverMode } from './resolvers.ts';
import { layOutRoot } from './skeleton.ts';
import { appStreams, lookAtCaller } from './stdio.ts';
import { podUnits } from './units.ts';
import { mountVolumes } from './volumes.ts';

/**
 * The entry point `run` of the nspawn flavour: this process becomes systemd-nspawn, whose PID 1 is
 * the host's own systemd with a service for each app.
 *
 * The apps' root file systems are mounted already, in a mount namespace of this process alone, so
 * that the kernel takes every mount away when the pod ends, however it ends.
 */
export async function run(pod: Stage1Pod, options: RunArguments): Promise<never> {
  const root = join(pod.folder, POD_FILES.stage1Root);
  const manifest = readPodManifest(pod.folder);
  const network = await podNetwork(pod, manifest, options);
  const supervisor = supervision();
  const users = options.privateUsers;
  const caller = lookAtCaller(options.interactive, users !== undefined);
  // What is started above is not the pod's. The rest goes on while systemd makes the scope.
  const scope =
    supervisor === 'scope'
      ? requestScope(`rkt-${pod.uuid}.scope`, `rkt pod ${pod.uuid}`)
      : undefined;
  const hostname = options.hostname ?? `rkt-${pod.uuid}`;
  const journal = supervisor !== 'none';
  const resolvers = typeof network === 'string' ? undefined : network.resolvers;
  if (resolvers && options.resolv === 'default')
    writeFileSync(join(root, 'etc/rkt-resolv.conf'), resolvers.text);
  const plans = manifest.apps.map((app) =>
    planService({
      pod: manifest,
      app,
      image: readAppImageManifest(pod.folder, app.name),
      stage1Root: root,
      insecure: options.insecure,
      streams: appStreams(caller, app),
      journal,
      files: {
        resolv: resolverMode(root, app.name, options.resolv, resolvers),
        hosts: options.hosts,
      },
      hostname,
      metadataUrl: metadataUrl(network, options),
      userNamespace: users !== undefined,
    }),
  );
  const sockets = planSockets(manifest);
  const credentials = supervisor === 'unit' ? unitCredentials() : [];
  const given = { credentials: credentials.map(({ name }) => name) };
  const services = plans.map((plan) => withSockets({ ...plan.service, ...given }, sockets));
  const own = {
    network: network !== 'host',
    ipc: options.ipc !== 'parent',
    users: users !== undefined,
  };
  const bounds = planBounds(manifest.isolators, services, supervisor, own, options.mutable);
  const units = new Map([
    ...podUnits(services, options.mutable === true),
    ...bounds.units,
    ...sockets.units,
  ]);
  layOutRoot(root, hostname, units, podIds(plans), options);
  for (const service of services) writeEnterRecord(pod.folder, service);
  writeSetup(root, bounds);
  if (options.mutable)
    (await import('./mutable.ts')).layOutMutable(pod, options, {
      caller,
      hostname,
      journal,
      metadataUrl: metadataUrl(network, options),
      resolvers,
      enforceable: bounds.enforceable,
      ...given,
    });
  const nspawn: NspawnPod = {
    uuid: pod.uuid,
    root,
    hostname,
    debug: options.debug,
    network: typeof network === 'string' ? network : users ? 'host' : network.netnsPath,
    sharedIpc: options.ipc === 'parent',
    terminal: caller.stdin === 'tty',
    sharedStdin: typeof caller.stdin === 'object',
    systemd: supervisor !== 'none',
    notify: process.env['NOTIFY_SOCKET'] !== undefined,
    credentials,
    listen: listenEnvironment(sockets),
    capabilities: podCapabilities(plans),
    protectPaths: !options.insecure.paths,
    unified: hasUnifiedCgroup() && bounds.legacy.length === 0,
    setup: bounds.setup === undefined ? undefined : SETUP,
    selinux: bounds.selinux,
    users,
  };
  const held = typeof network === 'string' ? [] : network.keepOpen;
  const inherited = [pod.lockFd, ...held, ...sockets.fds];
  const argv = relayed(
    pod,
    caller,
    plans.map((plan) => plan.relayed),
    nspawnArgv(nspawn, process.pid),
    inherited,
    users?.shift,
  );
  prepareMounts(pod, root, plans, supervisor === 'none', users);
  symlinkSync('nspawn', join(pod.folder, POD_FILES.flavor));
  write(pod, POD_FILES.subcgroup, podCgroup(pod.uuid, supervisor));
  if (supervisor === 'none') enterControllers(pod.folder, pod.uuid, bounds);
  scope?.join();
  // Last of all: with this file the pod counts as started.
  write(pod, POD_FILES.ppid, String(process.pid));
  if (users && typeof network !== 'string') enterNetwork(pod.folder, network.netnsPath);
  become(argv, nspawnEnvironment(nspawn), inherited);
}

/** The pod's cgroup; without systemd to make one it is made here, and this process moves into it. */
function podCgroup(uuid: string, supervisor: Supervision): string {
  switch (supervisor) {
    case 'none':
      return enterCgroup(`rkt-${uuid}`);
    case 'scope':
      return `machine.slice/rkt-${uuid}.scope`;
    case 'unit':
      return ownCgroup();
  }
}

function write(pod: Stage1Pod, name: string, line: string): void {
  writeFileSync(join(pod.folder, name), `${line}\n`, { mode: 0o640 });
}

function become(
  argv: readonly string[],
  env: Record<string, string>,
  keepOpen: readonly number[],
): never {
  const name = argv[0] ?? '';
  const path = findProgram(name);
  if (path) execve(path, argv, env, keepOpen);
  throw new Stage1Error('missing-program', `cannot find ${name}: install systemd-container`);
}

/** The code for networks is loaded only where there are any. */
async function podNetwork(
  pod: Stage1Pod,
  manifest: PodManifest,
  options: RunArguments,
): Promise<'host' | 'none' | PodNetwork> {
  const [first] = options.net;
  if (options.net.length === 1 && (first === 'host' || first === 'none')) return first;
  const { joinPodNetworks } = await import('./network.ts');
  return joinPodNetworks(pod, manifest, options);
}

/** Where the pod finds its metadata; the token in it is its credential. */
function metadataUrl(
  network: 'host' | 'none' | PodNetwork,
  { mdsToken }: RunArguments,
): string | undefined {
  if (mdsToken === undefined || network === 'none') return undefined;
  const host = network === 'host' ? `127.0.0.1:${METADATA_PORT}` : METADATA_ADDRESS;
  return `http://${host}/${mdsToken}`;
}

/** What the container manager must leave to the pod: what any app keeps. */
function podCapabilities(plans: readonly ServicePlan[]): string[] | undefined {
  const sets = plans.map((plan) => plan.service.capabilities);
  return sets.some((set) => set === undefined)
    ? undefined
    : [...new Set(sets.flatMap((set) => set ?? []))];
}

function podIds(plans: readonly ServicePlan[]) {
  const processes = plans.map((plan) => plan.service.process);
  return {
    users: new Set([0, ...processes.map((process) => process.uid)]),
    groups: new Set([0, ...processes.flatMap(({ gid, groups }) => [gid, ...groups])]),
  };
}

function prepareMounts(
  pod: Stage1Pod,
  root: string,
  plans: readonly ServicePlan[],
  withoutSystemd: boolean,
  users: IdRange | undefined,
): void {
  mount('/usr', join(root, 'usr'), '', MS.BIND);
  mount('/usr', join(root, 'usr'), '', MS.BIND | MS.REMOUNT | MS.RDONLY);
  const volumes = plans.flatMap((plan) => plan.mounts);
  if (users) mountMapped(pod, root, volumes, users);
  else mountVolumes(pod.folder, root, volumes);
  if (withoutSystemd) hideRunFolder();
}

/**
 * systemd-nspawn keeps a folder for each machine in /run, which it cannot remove where /run is not
 * a tmpfs: give it one that goes away with the pod.
 */
function hideRunFolder(): void {
  const folder = '/run/systemd/nspawn';
  try {
    mkdirSync(folder, { recursive: true });
    mount('tmpfs', folder, 'tmpfs', MS.NOSUID | MS.NODEV, 'mode=755');
  } catch (error) {
    if (errnoOf(error) !== 'EROFS') throw error;
  }
}
