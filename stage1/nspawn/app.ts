import { writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  appEnvironment,
  boundingSet,
  type ImageManifest,
  type Isolator,
  type NameValue,
  noNewPrivileges,
  otherIsolators,
  type PodManifest,
  type RuntimeApp,
  seccompFilter,
} from '../../src/appc/index.ts';
import { hasContent, leadsInto, statInRoot } from '../../src/os/inroot.ts';
import type { RunArguments } from '../../src/stage1/contract.ts';
import { executionProblem } from '../../src/stage1/diagnose.ts';
import { lifecycleOf } from '../../src/stage1/lifecycle.ts';
import { type AppMount, appMounts } from '../../src/stage1/mounts.ts';
import { appRootfs } from '../../src/stage1/pod-files.ts';
import {
  type AppProcess,
  appSection,
  commandInRoot,
  planProcess,
} from '../../src/stage1/process.ts';
import { prepareAppRoot } from './app-root.ts';
import { isFree, Places, systemBinds, temporaryFolders, volumeBind } from './binds.ts';
import { appArmorSettings, checkAppIsolators } from './enforceable.ts';
import { dropsVariable, hasLauncher, launched, launcherBind } from './launcher.ts';
import { processLimits, resourceLimits } from './limits.ts';
import { hasNarrowPrograms } from './narrow-programs.ts';
import { type RelayedApp, relayedApp, writesAgain } from './relay.ts';
import type { AppService } from './service.ts';
import type { Streams } from './stdio.ts';
import { isFolderVolume } from './volumes.ts';

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
  readonly metadataUrl: string | undefined;
  readonly userNamespace: boolean;
}

/**
 * What is to be hidden (surface 9.3) and the container manager leaves open: it hides kallsyms, kcore,
 * keys, sysrq-trigger and timer_list, and makes /proc/sys, /proc/bus and the parts of /sys read-only.
 * Each path here costs the start two mounts.
 */
const HIDDEN_IN_PROC = ['config.gz', 'kmem', 'mem', 'sched_debug'];

/** Everything about one app's service, settled against its mounted root file system. */
export function planService(request: ServiceRequest): ServicePlan {
  const { app, image, insecure } = request;
  const section = appSection(app, image);
  const hostRoot = join(request.stage1Root, appRootfs(app.name));
  const { name } = app;
  const environment = appEnvironment(
    { name, environment: section.environment },
    request.metadataUrl,
  );
  const process = planProcess(app.name, section, hostRoot, section.environment);
  const mounts = appMounts(request.pod, app, section);
  prepareAppRoot(hostRoot);
  const places = new Places(hostRoot, app.name);
  const launcher = `${places.folder('/run')}/rkt/launcher`;
  const start = (exec: readonly string[]) => launched(exec, environment, launcher);
  const handler = (wanted: string) => {
    const found = section.eventHandlers.find(({ name }) => name === wanted);
    const what = { name: app.name, section, environment: section.environment };
    return found && start(commandInRoot(hostRoot, found.exec, what));
  };
  checkAppIsolators(app.name, section.isolators, request.userNamespace);
  warnOfIgnored(app.name, section.isolators);
  warnOfImplicit(mounts);
  warnOfHidden(hostRoot, mounts);
  if (!hasLauncher) warnOfVariables(app.name, environment);
  warnOfExecution(hostRoot, process, mounts);
  const seccomp = insecure.seccomp ? undefined : seccompFilter(section.isolators);
  const volumes = mounts.map((each) => volumeBind(places, each));
  return {
    mounts: isFromDocker(image) ? mounts.map((each) => seeded(each, hostRoot)) : mounts,
    relayed: relayedApp(process, image, request.streams, writesAgain(request.pod, section)),
    service: {
      process: { ...process, exec: start(process.exec) },
      root: `/${appRootfs(app.name)}`,
      environment,
      preStart: handler('pre-start'),
      postStop: handler('post-stop'),
      binds: [
        ...systemBinds(places, request).filter(({ target }) => isFree(target, volumes)),
        ...(environment.some(dropsVariable) && hasLauncher
          ? [launcherBind(request.stage1Root, launcher)]
          : []),
        ...volumes,
      ],
      temporary: temporaryFolders(places, insecure.paths).filter(({ path }) =>
        isFree(path, volumes),
      ),
      inaccessiblePaths: insecure.paths
        ? []
        : HIDDEN_IN_PROC.map((name) => `${places.folder('/proc')}/${name}`),
      readOnlyRoot: app.readOnlyRootFS,
      capabilities: insecure.capabilities ? undefined : boundingSet(section.isolators),
      seccomp,
      narrowPrograms:
        seccomp !== undefined && hasNarrowPrograms(image, hostRoot, process.exec[0] ?? ''),
      noNewPrivileges: noNewPrivileges(section.isolators, process.uid, seccomp),
      limits: [
        ...resourceLimits(section.isolators),
        ...processLimits(section.isolators),
        ...appArmorSettings(section.isolators),
      ],
      lifecycle: lifecycleOf(app, image),
      stdin: request.streams.stdin,
      stdout: request.streams.stdout,
      stderr: request.streams.stderr,
    },
  };
}

function warnOfVariables(app: string, environment: readonly NameValue[]): void {
  for (const { name } of environment.filter(dropsVariable))
    say(
      `warning: app "${app}" does not get the variable ${name}: systemd does not pass on such names`,
    );
}

function isFromDocker(image: ImageManifest): boolean {
  return image.annotations.some(({ name }) => name.startsWith('appc.io/docker/'));
}

/** A volume that nobody asked for starts with what the image has at its place. */
function seeded(mount: AppMount, root: string): AppMount {
  return mount.implicit ? { ...mount, seed: root } : mount;
}

/** At once and without a stream, which would leave the shared descriptor non-blocking. */
function say(text: string): void {
  writeSync(2, `stage1: ${text}\n`);
}

/** What nobody knows, nobody enforces (spec: ace.md, "Isolators"). */
function warnOfIgnored(app: string, isolators: readonly Isolator[]): void {
  for (const { name } of otherIsolators(isolators))
    say(`warning: app "${app}" runs without the isolator ${name}, which is ignored: it is unknown`);
}

/** A mount point that nobody thought of gets a folder that goes away with the pod. */
function warnOfImplicit(mounts: readonly AppMount[]): void {
  for (const { volume, target, implicit } of mounts)
    if (implicit)
      say(
        `warning: no volume for the mount point at ${target}: using the empty volume "${volume.name}"`,
      );
}

/** What the image has at the place of a volume is not seen any more (spec: ace.md, "Volume Setup"). */
function warnOfHidden(root: string, mounts: readonly AppMount[]): void {
  for (const { volume, target, implicit } of mounts) {
    if (implicit || !isFolderVolume(volume)) continue;
    const hides = statInRoot(root, target)?.isDirectory() === false || hasContent(root, target);
    if (hides) say(`warning: the volume "${volume.name}" hides what the image has at ${target}`);
  }
}

/**
 * Says ahead why an app will end with 200 (its folder) or 203 (its program); what a volume brings along
 * cannot be seen from here.
 */
function warnOfExecution(root: string, process: AppProcess, mounts: readonly AppMount[]): void {
  const { workingDirectory: folder, exec } = process;
  const elsewhere = ['/dev', '/proc', '/run', '/sys', ...mounts.map(({ target }) => target)];
  const problem =
    statInRoot(root, folder)?.isDirectory() || leadsInto(root, folder, elsewhere)
      ? executionProblem(root, exec[0] ?? '', elsewhere)
      : `its working directory ${folder} is not a folder of its image`;
  if (problem) say(`app "${process.name}" cannot be executed: ${problem}`);
}
