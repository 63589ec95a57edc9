import { constants, lstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readIfExists } from '../os/files.ts';
import { Stage1Error } from './error.ts';
import { POD_FILES } from './pod-files.ts';

/** Processes of a running app. */
export interface EnterTarget {
  /** The pod's first process, which is not the app's: its namespaces are the pod's. */
  readonly pod: Process;
  /** The app's main process: its mount namespace is the app's. */
  readonly main: Process;
}

/** A process that stays the one it was when it was found. */
export interface Process {
  /** On the host; stands for another process once this one has ended. */
  readonly pid: number;
  /** Its folder of proc(5), held open: empty once it has ended, whoever gets its pid. */
  readonly proc: string;
}

const SELF = '/proc/self';

/** @throws Stage1Error `not-started` when there is none */
export function holdProcess(pid: number): Process {
  try {
    const fd = openSync(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY);
    return { pid, proc: `/proc/self/fd/${fd}` };
  } catch (error) {
    throw new Stage1Error('not-started', `process ${pid} has ended`, error);
  }
}

/** How long an app that is just being started is waited for, in milliseconds. */
const PATIENCE = 10_000;

/**
 * The processes of an app in a pod of systemd's: the app's main process is the pod's oldest child of
 * systemd in the app's unit. Until it has become the app's program it is still systemd's own, and
 * unconfined; an app that is in that state is waited for.
 */
export function findApp(podFolder: string, pod: Process, app: string): EnterTarget {
  for (const until = Date.now() + PATIENCE; ; pause()) {
    const wasReady = lstatSync(join(podFolder, POD_FILES.ready), { throwIfNoEntry: false });
    const main = mainProcess(pod, `${app}.service`);
    if (main && runsProgram(pod, main)) return { pod, main };
    if (!main && wasReady) throw new Stage1Error('not-started', `app "${app}" is not running`);
    if (Date.now() > until)
      throw new Stage1Error('not-started', `app "${app}" is still starting: try again`);
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}

function mainProcess(pod: Process, unit: string): Process | undefined {
  const pid = children(pod).find((child) => isOfUnit(`/proc/${child}`, unit));
  if (pid === undefined) return undefined;
  const process = holdProcess(pid);
  // Looked at again: before it was held, another one could have got its pid.
  return children(pod).includes(pid) && isOfUnit(process.proc, unit) ? process : undefined;
}

/** In the order in which they became its children: proc(5). */
function children({ pid, proc }: Process): number[] {
  const text = readIfExists(`${proc}/task/${pid}/children`) ?? '';
  return text.split(' ').filter(Boolean).map(Number);
}

/** The kernel tells a process's cgroups below `/`, however the hierarchies are mounted. */
function isOfUnit(proc: string, unit: string): boolean {
  const lines = procText(proc, 'cgroup')?.split('\n') ?? [];
  return lines.some((line) => /^\d+:(name=systemd)?:/.test(line) && line.endsWith(`/${unit}`));
}

/** Whether a child of systemd has left systemd's own mount namespace and programs behind. */
function runsProgram(pod: Process, main: Process): boolean {
  const identity = (path: string) => {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats && `${stats.dev}:${stats.ino}`;
  };
  const program = identity(`${main.proc}/exe`);
  const systemd = ['systemd', 'systemd-executor'].map((name) =>
    identity(`${pod.proc}/root/usr/lib/systemd/${name}`),
  );
  return (
    program !== undefined &&
    !systemd.includes(program) &&
    namespaceOf(pod.proc, 'mnt') !== namespaceOf(main.proc, 'mnt')
  );
}

/** Identifies a namespace of a process, ours if none is named: namespaces(7). */
export function namespaceOf(proc: string | undefined, kind: string): string | undefined {
  const stats = statSync(`${proc ?? SELF}/ns/${kind}`, { throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}`;
}

function procText(proc: string, file: string): string | undefined {
  try {
    return readFileSync(`${proc}/${file}`, 'utf8');
  } catch {
    // It has ended.
    return undefined;
  }
}

/** A line of /proc/PID/status: proc(5). */
export function statusField({ pid, proc }: Process, field: string): string {
  const text = procText(proc, 'status') ?? '';
  const value = new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(text)?.[1];
  if (value !== undefined) return value;
  throw new Stage1Error('not-started', `cannot read ${field} of process ${pid}: it has ended`);
}

/** The `cgroup.procs` files of the cgroups that a process is in and this one is not: cgroups(7). */
export function cgroupFiles({ proc }: Process): string[] {
  const own = memberships(SELF);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return [...memberships(proc)].flatMap(([controllers, path]) => {
    if (own.get(controllers) === path) return [];
    const folder = mounts.flatMap((line) => folderIn(line, controllers, path))[0];
    if (folder !== undefined) return [`${folder}/cgroup.procs`];
    throw new Stage1Error(
      'unsupported',
      `cannot join the cgroup ${path} of the app: this process does not see it`,
    );
  });
}

/** [controllers, path] of each hierarchy; none are named for version 2. */
function memberships(proc: string): Map<string, string> {
  const lines = readFileSync(`${proc}/cgroup`, 'utf8').trim().split('\n');
  return new Map(
    lines.map((line): [string, string] => {
      const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return [controllers, path];
    }),
  );
}

/** The folder of a cgroup by a line of mountinfo, if that mounts its hierarchy. */
function folderIn(line: string, controllers: string, path: string): string[] {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , root = '/', mount = ''] = before.split(' ');
  const [type, , options = ''] = after.split(' ');
  const wanted = controllers.split(',');
  const fits =
    controllers === ''
      ? type === 'cgroup2'
      : type === 'cgroup' && wanted.every((name) => options.split(',').includes(name));
  if (!fits) return [];
  if (root === '/') return path.startsWith('/..') ? [] : [mount + path];
  return path.startsWith(`${root}/`) ? [mount + path.slice(root.length)] : [];
}

/** [resource's number, soft, hard] of each limit of a process that differs from ours: getrlimit(2). */
export function differingLimits({ proc }: Process): [number, bigint, bigint][] {
  const own = limits(SELF);
  return limits(proc).filter(
    ([, soft, hard], at) => own[at]?.[1] !== soft || own[at]?.[2] !== hard,
  );
}

/** In the order of proc(5). */
const RESOURCES = [
  'Max cpu time',
  'Max file size',
  'Max data size',
  'Max stack size',
  'Max core file size',
  'Max resident set',
  'Max processes',
  'Max open files',
  'Max locked memory',
  'Max address space',
  'Max file locks',
  'Max pending signals',
  'Max msgqueue size',
  'Max nice priority',
  'Max realtime priority',
  'Max realtime timeout',
];

function limits(proc: string): [number, bigint, bigint][] {
  const lines = readFileSync(`${proc}/limits`, 'utf8').split('\n');
  return RESOURCES.map((name, number) => {
    const line = lines.find((candidate) => candidate.startsWith(name)) ?? '';
    const [soft = '', hard = ''] = line.slice(name.length).trim().split(/\s+/);
    return [number, limit(soft), limit(hard)];
  });
}

function limit(text: string): bigint {
  return text === 'unlimited' ? 0xffff_ffff_ffff_ffffn : BigInt(text);
}
