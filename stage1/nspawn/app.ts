import { writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  appEnvironment,
  boundingSet,
  type ImageManifest,
  type NameValue,
  noNewPrivileges,
  type PodManifest,
  type RuntimeApp,
  seccompFilter,
} from '../../src/appc/index.ts';
import type { RunArguments } from '../../src/stage1/contract.ts';
import { executionProblem } from '../../src/stage1/diagnose.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { lifecycleOf } from '../../src/stage1/lifecycle.ts';
import { type AppMount, appMounts } from '../../src/stage1/mounts.ts';
import { appRootfs } from '../../src/stage1/pod-files.ts';
import { type AppProcess, appSection, planProcess } from '../../src/stage1/process.ts';
import { prepareAppRoot } from './app-root.ts';
import { Places, systemBinds, temporaryFolders, volumeBind } from './binds.ts';
import { resourceLimits } from './limits.ts';
import { hasNarrowPrograms } from './narrow-programs.ts';
import { type RelayedApp, relayedApp } from './relay.ts';
import type { AppService } from './service.ts';
import type { Streams } from './stdio.ts';

export interface ServicePlan {
  readonly service: AppService;
  readonly relayed: RelayedApp;
  readonly mounts: readonly AppMount[];
}

export interface ServiceRequest {
  readonly pod: PodManifest;
  readonly app: RuntimeApp;
  readonly image: ImageManifest;
  readonly stage1Root: string;
  readonly insecure: RunArguments['insecure'];
  readonly streams: Streams;
  readonly journal: boolean;
  readonly files: { resolv: RunArguments['resolv']; hosts: RunArguments['hosts'] };
  readonly hostname: string;
}

/**
 * What is to be hidden (surface 9.3) and the container manager leaves open: it hides kallsyms, kcore,
 * keys, sysrq-trigger and timer_list, and makes /proc/sys, /proc/bus and the parts of /sys read-only.
 * Each path here costs the start two mounts.
 */
const INACCESSIBLE = ['/proc/config.gz', '/proc/kmem', '/proc/mem', '/proc/sched_debug'];

/** Everything about one app's service, settled against its mounted root file system. */
export function planService(request: ServiceRequest): ServicePlan {
  const { app, image, insecure } = request;
  const section = appSection(app, image);
  const hostRoot = join(request.stage1Root, appRootfs(app.name));
  const environment = appEnvironment({ name: app.name, environment: section.environment });
  const process = planProcess(app.name, section, hostRoot, section.environment);
  const mounts = appMounts(request.pod, app, section);
  const handler = (name: string) => section.eventHandlers.find((h) => h.name === name)?.exec;
  prepareAppRoot(hostRoot);
  const places = new Places(hostRoot, app.name);
  refuseUnenforced(app.name, section.isolators);
  warnOfImplicit(mounts);
  warnOfVariables(app.name, environment);
  warnOfExecution(hostRoot, process, mounts);
  const seccomp = insecure.seccomp ? undefined : seccompFilter(section.isolators);
  return {
    mounts,
    relayed: relayedApp(process, image, request.streams),
    service: {
      process,
      root: `/${appRootfs(app.name)}`,
      environment,
      preStart: handler('pre-start'),
      postStop: handler('post-stop'),
      binds: [...systemBinds(places, request), ...mounts.map((each) => volumeBind(places, each))],
      temporary: temporaryFolders(places, insecure.paths),
      inaccessiblePaths: insecure.paths ? [] : INACCESSIBLE,
      readOnlyRoot: app.readOnlyRootFS,
      capabilities: insecure.capabilities ? undefined : boundingSet(section.isolators),
      seccomp,
      narrowPrograms:
        seccomp !== undefined && hasNarrowPrograms(image, hostRoot, process.exec[0] ?? ''),
      noNewPrivileges: noNewPrivileges(section.isolators, process.uid, seccomp),
      limits: resourceLimits(section.isolators),
      lifecycle: lifecycleOf(app, image),
      notifies: image.annotations.some(
        (a) => a.name === 'appc.io/executor/supports-systemd-notify' && a.value === 'true',
      ),
      stdin: request.streams.stdin,
      stdout: request.streams.stdout,
      stderr: request.streams.stderr,
    },
  };
}

const UNENFORCED = [
  'resource/block-bandwidth',
  'resource/block-iops',
  'resource/network-bandwidth',
  'os/linux/selinux-context',
  'os/linux/apparmor-profile',
  'os/unix/sysctl',
];

/** A limit that nobody enforces is worse than none: its author counts on it. */
function refuseUnenforced(app: string, isolators: readonly { name: string }[]): void {
  const found = isolators.find(({ name }) => UNENFORCED.includes(name));
  if (found)
    throw new Stage1Error(
      'unsupported',
      `cannot run app "${app}": this version does not enforce the isolator ${found.name}`,
    );
}

/** systemd takes names of variables as shells do, and leaves out the others without a word. */
function warnOfVariables(app: string, environment: readonly NameValue[]): void {
  for (const { name } of environment)
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      say(
        `warning: app "${app}" does not get the variable ${name}: systemd does not pass on such names`,
      );
}

/** At once and without a stream, which would leave the shared descriptor non-blocking. */
function say(text: string): void {
  writeSync(2, `stage1: ${text}\n`);
}

/** A mount point that nobody thought of gets a folder that goes away with the pod. */
function warnOfImplicit(mounts: readonly AppMount[]): void {
  for (const { volume, target, implicit } of mounts)
    if (implicit)
      say(
        `warning: no volume for the mount point at ${target}: using the empty volume "${volume.name}"`,
      );
}

/** Says ahead why an app will end with 203; what a volume brings along cannot be seen from here. */
function warnOfExecution(root: string, process: AppProcess, mounts: readonly AppMount[]): void {
  const file = process.exec[0] ?? '';
  if (mounts.some(({ target }) => file.startsWith(`${target}/`) || file === target)) return;
  const problem = executionProblem(root, file);
  if (problem) say(`app "${process.name}" cannot be executed: ${problem}`);
}
