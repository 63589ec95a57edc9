import { join } from 'node:path';
import { stderr } from 'node:process';
import {
  appEnvironment,
  boundingSet,
  type ImageManifest,
  noNewPrivileges,
  type PodManifest,
  type RuntimeApp,
  seccompFilter,
} from '../../src/appc/index.ts';
import { statInRoot } from '../../src/os/inroot.ts';
import type { RunArguments } from '../../src/stage1/contract.ts';
import { executionProblem } from '../../src/stage1/diagnose.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { type AppMount, appMounts } from '../../src/stage1/mounts.ts';
import { appRootfs } from '../../src/stage1/pod-files.ts';
import { type AppProcess, appSection, planProcess } from '../../src/stage1/process.ts';
import { prepareAppRoot } from './app-root.ts';
import { JOURNAL } from './command.ts';
import { resourceLimits } from './limits.ts';
import type { Streams } from './stdio.ts';
import type { AppService, Bind } from './units.ts';
import { volumePath } from './volumes.ts';

export interface ServicePlan {
  readonly service: AppService;
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
 * What is to be protected (surface 9.3) and the container manager leaves open: it makes /proc/sys,
 * /proc/bus and the parts of /sys read-only itself. Each path here costs the start two mounts.
 */
const READ_ONLY = ['/proc/sysrq-trigger'];
const INACCESSIBLE = [
  '/proc/config.gz',
  '/proc/kallsyms',
  '/proc/kcore',
  '/proc/kmem',
  '/proc/mem',
  '/proc/sched_debug',
];
/** The rest of /sys stays outside: firmware, fs with the cgroups, hypervisor, module, power. */
const SYS_FOLDERS = ['block', 'bus', 'class', 'dev', 'devices', 'kernel'];

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
  refuseUnenforced(app.name, section.isolators);
  warnOfExecution(hostRoot, process, mounts);
  const seccomp = insecure.seccomp ? undefined : seccompFilter(section.isolators);
  return {
    mounts,
    service: {
      process,
      root: `/${appRootfs(app.name)}`,
      environment,
      preStart: handler('pre-start'),
      postStop: handler('post-stop'),
      binds: [...systemBinds(request, hostRoot), ...mounts.map(mountBind)],
      temporary: [
        { path: '/run', readOnly: false },
        ...(insecure.paths ? [] : [{ path: '/sys', readOnly: true }]),
      ],
      readOnlyPaths: insecure.paths ? [] : READ_ONLY,
      inaccessiblePaths: insecure.paths ? [] : INACCESSIBLE,
      readOnlyRoot: app.readOnlyRootFS,
      capabilities: insecure.capabilities ? undefined : boundingSet(section.isolators),
      seccomp,
      noNewPrivileges: noNewPrivileges(section.isolators, process.uid, seccomp),
      limits: resourceLimits(section.isolators),
      notifies: image.annotations.some(
        (a) => a.name === 'appc.io/executor/supports-systemd-notify' && a.value === 'true',
      ),
      ...request.streams,
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

/** Says ahead why an app will end with 203; what a volume brings along cannot be seen from here. */
function warnOfExecution(root: string, process: AppProcess, mounts: readonly AppMount[]): void {
  const file = process.exec[0] ?? '';
  if (mounts.some(({ target }) => file.startsWith(`${target}/`) || file === target)) return;
  const problem = executionProblem(root, file);
  if (problem) stderr.write(`stage1: app "${process.name}" cannot be executed: ${problem}\n`);
}

function mountBind({ volume, target, readOnly }: AppMount) {
  return { source: volumePath(volume), target, readOnly };
}

/**
 * The device nodes that the container manager made. The folder is read-only: with CAP_MKNOD an app
 * could make more, which works nowhere else in its root, since every other mount forbids devices.
 */
function devices(): Bind[] {
  const writable = ['/dev/mqueue', '/dev/pts', '/dev/shm'];
  return [
    { source: '/dev', target: '/dev', readOnly: true, alone: true },
    ...writable.map((path) => ({ source: path, target: path, readOnly: false })),
  ];
}

/** The kernel's file systems as the container manager made them, and the pod's own /etc files. */
function systemBinds(request: ServiceRequest, hostRoot: string): Bind[] {
  const same = (path: string, readOnly = false): Bind => ({ source: path, target: path, readOnly });
  const optional = (path: string): Bind => ({ ...same(path), optional: true });
  const ownHosts = statInRoot(hostRoot, '/etc/hosts') !== undefined;
  const { resolv, hosts } = request.files;
  return [
    same('/proc'),
    ...(request.insecure.paths
      ? [same('/sys')]
      : SYS_FOLDERS.map((name) => optional(`/sys/${name}`))),
    ...devices(),
    ...(request.journal ? [same(JOURNAL, true)] : []),
    { source: '/etc/hostname', target: '/etc/hostname', readOnly: true },
    ...(resolv === 'stage0' || resolv === 'host'
      ? [{ source: '/etc/rkt-resolv.conf', target: '/etc/resolv.conf', readOnly: true }]
      : []),
    ...(hosts === 'stage0' || hosts === 'host' || !ownHosts
      ? [{ source: '/etc/rkt-hosts', target: '/etc/hosts', readOnly: true }]
      : []),
  ];
}
