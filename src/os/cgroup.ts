import {
  type Dirent,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from './error.ts';

/** A cgroup hierarchy, and where this process is in it. */
export interface Hierarchy {
  /** As in /proc/PID/cgroup: controllers (`cpu,cpuacct`), `name=systemd`, '' for version 2. */
  readonly name: string;
  /** Where it is mounted. */
  readonly mount: string;
  /** Absolute path of this process's cgroup below `mount`. */
  readonly own: string;
}

/** Every hierarchy that is mounted here (cgroups(7), proc(5)). */
export function hierarchies(): Hierarchy[] {
  const paths = new Map<string, string>();
  for (const line of readFileSync('/proc/self/cgroup', 'utf8').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers !== undefined && path !== undefined) paths.set(controllers, path);
  }
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [, , , root = '/', mount = ''] = before.split(' ');
      const [type, , options = ''] = after.split(' ');
      const given = options.split(',');
      const name =
        type === 'cgroup2'
          ? ''
          : type === 'cgroup'
            ? [...paths.keys()].find(
                (key) => key !== '' && key.split(',').every((part) => given.includes(part)),
              )
            : undefined;
      const path = name === undefined ? undefined : paths.get(name);
      if (name === undefined || path === undefined) return [];
      const below = root !== '/' && path.startsWith(root) ? path.slice(root.length) : path;
      return [{ name, mount, own: join('/', below) }];
    });
}

/**
 * The hierarchies by which systemd knows processes: version 2 and, on legacy and hybrid hosts, the
 * named one of version 1.
 */
function trackingHierarchies(): Hierarchy[] {
  return hierarchies().filter(({ name }) => name === '' || name === 'name=systemd');
}

/** This process's cgroup, as the first of those hierarchies has it. */
export function ownCgroup(): string {
  return trackingHierarchies()[0]?.own ?? '/';
}

/**
 * Moves this process into a new cgroup below its own, in every hierarchy that tracks processes.
 * Gives the cgroup's path in them.
 */
export function enterCgroup(name: string): string {
  const tracking = trackingHierarchies();
  for (const hierarchy of tracking) enterFolder(hierarchy, name);
  return join(tracking[0]?.own ?? '/', name);
}

/** The same in one hierarchy. Gives the cgroup's folder. */
export function enterFolder({ mount, own }: Hierarchy, name: string): string {
  const folder = join(mount, own, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cgroup.procs'), String(process.pid));
  return folder;
}

/** Removes a cgroup and those below it in every such hierarchy. What still runs there is killed. */
export function removeCgroup(path: string): void {
  for (const { mount } of trackingHierarchies()) removeTree(join(mount, path));
}

/** Removes a cgroup's folder and those below it, where they are still there, and kills what runs there. */
export function removeTree(folder: string): void {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  for (const entry of entries) if (entry.isDirectory()) removeTree(join(folder, entry.name));
  removeWhenEmpty(folder);
}

/** How long killed processes may take to be gone, in milliseconds. */
const DYING = 5000;

/**
 * Processes that have been killed stay in their cgroup for an instant; version 1 tells nobody. A
 * container manager that was killed before its pod had a pdeathsig leaves some alive.
 */
function removeWhenEmpty(folder: string): void {
  const until = Date.now() + DYING;
  for (;;) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      if (errnoOf(error) !== 'EBUSY' || Date.now() > until) throw error;
      killProcesses(folder);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function killProcesses(folder: string): void {
  const pids = readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').map(Number);
  // One of another pid namespace is written as 0, which kill(2) takes for the caller's own group.
  for (const pid of pids.filter((each) => each > 0))
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error;
    }
}
