import { lstatSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readIfExists } from '../os/files.ts';
import { Stage1Error } from './error.ts';
import { POD_FILES } from './pod-files.ts';

/** Processes of a running app, by their pids on the host. */
export interface EnterTarget {
  /** The pod's first process, which is not the app's: its namespaces are the pod's. */
  readonly podPid: number;
  /** The app's main process: its mount namespace is the app's. */
  readonly mainPid: number;
}

/** How long an app that is just being started is waited for, in milliseconds. */
const PATIENCE = 10_000;

/**
 * The processes of an app in a pod of systemd's: the app's main process is the pod's oldest child of
 * systemd in the app's unit. Until it has become the app's program it is still systemd's own, and
 * unconfined; an app that is in that state is waited for.
 */
export function findApp(podFolder: string, podPid: number, app: string): EnterTarget {
  for (const until = Date.now() + PATIENCE; ; pause()) {
    const wasReady = lstatSync(join(podFolder, POD_FILES.ready), { throwIfNoEntry: false });
    const mainPid = children(podPid).find((pid) => isOfUnit(pid, `${app}.service`));
    if (mainPid !== undefined && runsProgram(podPid, mainPid)) return { podPid, mainPid };
    if (mainPid === undefined && wasReady)
      throw new Stage1Error('not-started', `app "${app}" is not running`);
    if (Date.now() > until)
      throw new Stage1Error('not-started', `app "${app}" is still starting: try again`);
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}

/** In the order in which they became its children: proc(5). */
function children(pid: number): number[] {
  const text = readIfExists(`/proc/${pid}/task/${pid}/children`) ?? '';
  return text.split(' ').filter(Boolean).map(Number);
}

/** The kernel tells a process's cgroups below `/`, however the hierarchies are mounted. */
function isOfUnit(pid: number, unit: string): boolean {
  const lines = procText(pid, 'cgroup')?.split('\n') ?? [];
  return lines.some((line) => /^\d+:(name=systemd)?:/.test(line) && line.endsWith(`/${unit}`));
}

/** Whether a child of systemd has left systemd's own mount namespace and programs behind. */
function runsProgram(podPid: number, pid: number): boolean {
  const identity = (path: string) => {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats && `${stats.dev}:${stats.ino}`;
  };
  const program = identity(`/proc/${pid}/exe`);
  const systemd = ['systemd', 'systemd-executor'].map((name) =>
    identity(`/proc/${podPid}/root/usr/lib/systemd/${name}`),
  );
  return (
    program !== undefined &&
    !systemd.includes(program) &&
    namespaceOf(podPid, 'mnt') !== namespaceOf(pid, 'mnt')
  );
}

/** Identifies a namespace of a process: namespaces(7). */
export function namespaceOf(pid: number | 'self', kind: string): string | undefined {
  const stats = statSync(`/proc/${pid}/ns/${kind}`, { throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}`;
}

function procText(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It has ended.
    return undefined;
  }
}

/** A line of /proc/PID/status: proc(5). */
export function statusField(pid: number, field: string): string {
  const text = procText(pid, 'status') ?? '';
  const value = new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(text)?.[1];
  if (value !== undefined) return value;
  throw new Stage1Error('not-started', `cannot read ${field} of process ${pid}: it has ended`);
}

/** The `cgroup.procs` files of the cgroups that a process is in and this one is not: cgroups(7). */
export function cgroupFiles(pid: number): string[] {
  const own = memberships('self');
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return [...memberships(pid)].flatMap(([controllers, path]) => {
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
function memberships(pid: number | 'self'): Map<string, string> {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
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
export function differingLimits(pid: number): [number, bigint, bigint][] {
  const own = limits('self');
  return limits(pid).filter(([, soft, hard], at) => own[at]?.[1] !== soft || own[at]?.[2] !== hard);
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

function limits(pid: number | 'self'): [number, bigint, bigint][] {
  const lines = readFileSync(`/proc/${pid}/limits`, 'utf8').split('\n');
  return RESOURCES.map((name, number) => {
    const line = lines.find((candidate) => candidate.startsWith(name)) ?? '';
    const [soft = '', hard = ''] = line.slice(name.length).trim().split(/\s+/);
    return [number, limit(soft), limit(hard)];
  });
}

function limit(text: string): bigint {
  return text === 'unlimited' ? 0xffff_ffff_ffff_ffffn : BigInt(text);
}
