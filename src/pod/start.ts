import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RuntimeImage, storedImageManifest } from '../appc/index.ts';
import { isMutable } from '../appc/mutable.ts';
import { versionedName } from '../appc/versioned-name.ts';
import { Store } from '../image/store.ts';
import { errorChain } from '../os/error.ts';
import { readIfExists } from '../os/files.ts';
import { withIdMap } from '../os/idmap.ts';
import { execve, shareMounts, unshareMounts } from '../os/syscalls.ts';
import { entryPoint, interfaceVersion, type RunArguments, runArgv } from '../stage1/contract.ts';
import { mapRoots } from '../stage1/map-roots.ts';
import { appRootfs, POD_FILES, readPodManifest } from '../stage1/pod-files.ts';
import { type Event, type EventKind, logEvent } from '../systemd/journal.ts';
import { PodError } from './error.ts';
import { podFolder } from './layout.ts';
import { registerPod } from './leave.ts';
import type { Pod } from './pods.ts';
import type { HeldPod } from './prepare.ts';
import { readIdRange } from './private-users.ts';
import { mountCopy, mountOverlay, overlayProblem } from './rootfs.ts';
import { loadOwnStage1 } from './stage1-choice.ts';

export interface StartRequest {
  /** The command line of rkt itself, up to the name of a command. */
  readonly self: readonly string[];
  readonly run: RunArguments;
  /** The flags that started it, kept for `rkt generate`. */
  readonly flags: readonly string[];
  /** The metadata service is to know the pod. */
  readonly mdsRegister: boolean;
  /** Texts that the pod's apps get, where the modes in `run` are `stage0`. */
  readonly resolvConf?: string;
  readonly hostsFile?: (hostname: string) => string;
  readonly warn: (message: string) => void;
}

/**
 * Turns this process into the pod (surface 2.5). The pod's lock goes over to what it becomes, and
 * ends with it. Comes back only by throwing.
 */
export async function startPod(
  dataDir: string,
  held: HeldPod,
  request: StartRequest,
): Promise<never> {
  const manifest = readPodManifest(held.pod.folder);
  const mutable = isMutable(manifest);
  const privateUsers = readIdRange(held.pod.folder);
  const run = {
    ...request.run,
    ...(mutable ? { mutable } : {}),
    ...(privateUsers ? { privateUsers } : {}),
  };
  const images = manifest.apps.flatMap(({ image }) => imageField(image));
  const fields: Event['fields'] = [['RKT_POD', held.pod.uuid], ...images];
  const tell = (kind: EventKind, message: string, priority: 'info' | 'error') =>
    logEvent({ kind, message, priority, code: 'src/pod/start.ts:startPod', fields });
  try {
    tell('pod-started', `Pod ${held.pod.uuid} is started`, 'info');
    return await becomePod(dataDir, held, { ...request, run });
  } catch (error) {
    const why = errorChain(error).join(': ');
    tell('pod-failed', `Pod ${held.pod.uuid} could not be started: ${why}`, 'error');
    throw error;
  }
}

/** RKT_IMAGE as the relay writes it for each line of an app. */
function imageField({ name, labels }: RuntimeImage): Event['fields'] {
  if (name === undefined) return [];
  return [['RKT_IMAGE', versionedName(name, labels)]];
}

async function becomePod(dataDir: string, held: HeldPod, request: StartRequest): Promise<never> {
  const pod = enterRun(dataDir, held.pod);
  // What is made for the apps is theirs to read, whatever the caller keeps from others.
  process.umask(0o022);
  process.chdir(pod.folder);
  unshareMounts();
  // Apps that come later are mounted here, and have to appear in the pod.
  if (request.run.mutable) shareMounts();
  mountApps(dataDir, pod);
  writeHostFiles(pod, request);
  writeFileSync(START_FLAGS, request.flags.join('\n'));
  const run = request.mdsRegister
    ? { ...request.run, mdsToken: await registerPod(pod) }
    : request.run;
  const manifest = storedImageManifest(readFileSync(POD_FILES.stage1Manifest, 'utf8'));
  const own = await loadOwnStage1(manifest, pod.folder);
  const mountMappedApp = (app: string, ids: number) =>
    mountAppRoot(new Store(dataDir), pod.folder, app, ids);
  if (own)
    return own.run(
      {
        uuid: pod.uuid,
        folder: pod.folder,
        lockFd: held.lock.fd,
        leaveNetworks: [...request.self, 'network-gc', pod.uuid],
        warn: request.warn,
        mountMappedApp,
      },
      run,
    );
  const users = run.privateUsers;
  if (users) withIdMap(users, (ids) => mapRoots(pod.folder, users, ids, mountMappedApp));

  if (request.run.mutable)
    for (const name of ['app/add', 'app/rm', 'app/start', 'app/stop'] as const)
      entryPoint(manifest, name);
  const path = join(POD_FILES.stage1Root, entryPoint(manifest, 'run'));
  const { argv, dropped } = runArgv(pod.uuid, run, interfaceVersion(manifest));
  for (const option of dropped)
    request.warn(`the stage1 image ${manifest.name} is too old for ${option}: ignored`);
  const lock = {
    RKT_LOCK_FD: String(held.lock.fd),
    RKT_SELINUX_CONTEXT: '',
    RKT_SELINUX_MOUNT_CONTEXT: '',
  };
  return execve(path, [path, ...argv], { ...definedEnvironment(), ...lock }, [held.lock.fd]);
}

/** The file in the pod's folder with the flags that started it, a line each. */
export const START_FLAGS = 'start-flags';

/** A start is not worth a disk's time: after a power cut the pod is gone whatever its folder says. */
function enterRun(dataDir: string, pod: Pod): Pod {
  const folder = podFolder(dataDir, 'run', pod.uuid);
  renameSync(pod.folder, folder);
  return { ...pod, group: 'run', folder, state: 'running' };
}

function mountApps(dataDir: string, pod: Pod): void {
  const problem = existsSync('overlay-prepared') ? overlayProblem(dataDir) : undefined;
  if (problem)
    throw new PodError('no-overlay', `unable to run prepared overlay-enabled pod: ${problem}`);
  const store = new Store(dataDir);
  for (const { name } of readPodManifest(pod.folder).apps) mountAppRoot(store, pod.folder, name);
}

/**
 * Mounts an app's root where the contract has it: an overlay, or the copy that was made.
 *
 * @param ids the user namespace that it is to be mapped for (src/os/idmap.ts)
 */
export function mountAppRoot(store: Store, podFolder: string, app: string, ids?: number): void {
  const root = join(podFolder, POD_FILES.stage1Root, appRootfs(app));
  const trees = readIfExists(join(podFolder, 'appsinfo', app, 'treeStoreID'));
  if (trees === undefined) {
    mountCopy(root, ids);
    return;
  }
  const layers = trees
    .trim()
    .split('\n')
    .map((id) => store.treeRoot(id));
  mountOverlay(layers, join(podFolder, 'overlay', app), root, ids);
}

function writeHostFiles(pod: Pod, { run, resolvConf, hostsFile }: StartRequest): void {
  const etc = join(POD_FILES.stage1Root, 'etc');
  const hostname = run.hostname ?? `rkt-${pod.uuid}`;
  mkdirSync(etc, { recursive: true, mode: 0o755 });
  if (resolvConf !== undefined) writeFileSync(join(etc, 'rkt-resolv.conf'), resolvConf);
  if (hostsFile) writeFileSync(join(etc, 'rkt-hosts'), hostsFile(hostname));
}

function definedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  );
}
