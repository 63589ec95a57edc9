import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Hierarchy, hierarchies } from '../../src/os/cgroup.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { isUnifiedCgroup, type Supervision } from '../../src/systemd/host.ts';
import type { Setting } from './unit-text.ts';

/**
 * systemd leaves out, without a word, what it lacks the controller for. So whether the one in the
 * pod will have the controllers that limits need is found out before (cgroups(7)).
 */
type Controller = 'cpu' | 'io' | 'memory' | 'pids';

/** A setting's controller, the file that must be there for it, and whom to name when it is not. */
interface Need {
  readonly controller: Controller;
  readonly what: string;
  /** In version 1, since the controller alone is not always enough; undefined: never there. */
  readonly legacyFile: string | undefined;
  /** In version 2, one of them. */
  readonly files?: readonly string[];
}

const NEEDS: Readonly<Record<string, Need>> = {
  MemoryMax: {
    controller: 'memory',
    what: 'resource/memory',
    legacyFile: 'memory.limit_in_bytes',
  },
  CPUQuota: { controller: 'cpu', what: 'resource/cpu', legacyFile: 'cpu.cfs_quota_us' },
  CPUWeight: { controller: 'cpu', what: 'os/linux/cpu-shares', legacyFile: 'cpu.shares' },
  // In version 1 a host's systemd makes no cgroup of blkio for a unit that it delegates.
  IOReadBandwidthMax: { controller: 'io', what: 'resource/block-bandwidth', legacyFile: undefined },
  IOReadIOPSMax: { controller: 'io', what: 'resource/block-iops', legacyFile: undefined },
  IOWeight: {
    controller: 'io',
    what: 'os/linux/io-weight',
    legacyFile: undefined,
    files: ['io.weight', 'io.bfq.weight'],
  },
  TasksMax: { controller: 'pids', what: 'os/linux/tasks', legacyFile: 'tasks' },
};

/** What it takes for the pod to get its controllers. */
export interface Controllers {
  /** Of version 1: the pod's systemd is to have a cgroup in them, and must be allowed to write. */
  readonly legacy: readonly Hierarchy[];
  /** Of version 2: the cgroup that a new one of the pod's own gets these from. */
  readonly handOn: { readonly folder: string; readonly names: readonly string[] } | undefined;
}

/** @throws Stage1Error `unsupported` when the pod will not get the controllers for these settings */
export function needControllers(
  settings: readonly Setting[],
  supervisor: Supervision,
): Controllers {
  const needs = [...new Set(settings.flatMap(([name]) => NEEDS[name] ?? []))];
  if (needs.length === 0) return { legacy: [], handOn: undefined };
  const mounted = hierarchies();
  const unified = isUnifiedCgroup() ? mounted.find(({ name }) => name === '') : undefined;
  if (unified) {
    const folder = join(unified.mount, unified.own);
    for (const need of needs) checkUnified(need, unified.mount, folder, supervisor);
    const names = [...new Set(needs.map(({ controller }) => controller))];
    return { legacy: [], handOn: supervisor === 'none' ? { folder, names } : undefined };
  }
  const found = needs.flatMap((need) => [
    findLegacy(need, mounted, supervisor),
    // systemd takes these two for one.
    ...(need.controller === 'cpu' ? mounted.filter(({ name }) => name === 'cpuacct') : []),
  ]);
  return { legacy: [...new Set(found)], handOn: undefined };
}

/** The settings that a pod started here can get the controllers for. */
export function enforceableSettings(supervisor: Supervision): string[] {
  return Object.keys(NEEDS).filter((name) => {
    try {
      needControllers([[name, '']], supervisor);
      return true;
    } catch (error) {
      if (error instanceof Stage1Error) return false;
      throw error;
    }
  });
}

/** @throws Stage1Error `unsupported` for settings whose controllers a running pod was not given */
export function checkSettings(settings: readonly Setting[], enforceable: readonly string[]): void {
  for (const [name] of settings) {
    const need = NEEDS[name];
    if (need && !enforceable.includes(name))
      throw unenforced(need, `the pod was started without the controller ${need.controller}`);
  }
}

function checkUnified(need: Need, mount: string, folder: string, supervisor: Supervision): void {
  const { controller } = need;
  const among = (path: string) => readFileSync(path, 'utf8').trim().split(' ').includes(controller);
  if (!among(join(mount, 'cgroup.controllers')))
    throw unenforced(
      need,
      `its kernel or whoever started it leaves out the controller ${controller}`,
    );
  if (supervisor === 'unit' && !among(join(folder, 'cgroup.controllers')))
    throw unenforced(need, `the unit has no ${controller} controller: set Delegate=yes in it`);
  if (supervisor === 'none' && !canHandOn(folder))
    throw unenforced(
      need,
      `the cgroup ${folder} has other processes, so that one below it gets no controllers: start rkt from a unit of systemd`,
    );
  if (need.files && !hasFile(mount, need.files))
    throw unenforced(need, `its kernel has none of ${need.files.join(', ')}`);
}

/** The root may have processes beside cgroups with controllers; it alone has no type. */
function canHandOn(folder: string): boolean {
  if (!existsSync(join(folder, 'cgroup.type'))) return true;
  const pids = readFileSync(join(folder, 'cgroup.procs'), 'utf8').trim().split('\n');
  return pids.every((pid) => pid === String(process.pid));
}

/** Whether cgroups have one of these files; the root has none of most kinds. */
function hasFile(mount: string, files: readonly string[]): boolean {
  const child = readdirSync(mount, { withFileTypes: true }).find((entry) => entry.isDirectory());
  return child !== undefined && files.some((file) => existsSync(join(mount, child.name, file)));
}

function findLegacy(need: Need, mounted: readonly Hierarchy[], supervisor: Supervision): Hierarchy {
  const controller = need.controller === 'io' ? 'blkio' : need.controller;
  const found = mounted.find(({ name }) => name.split(',').includes(controller));
  if (!found)
    throw unenforced(need, `the controller ${controller} of cgroups version 1 is not mounted`);
  if (need.legacyFile === undefined || !existsSync(join(found.mount, found.own, need.legacyFile)))
    throw unenforced(need, 'it takes version 2 of cgroups');
  const unit = mounted.find(({ name }) => name === 'name=systemd')?.own;
  if (supervisor === 'unit' && found.own !== unit)
    throw unenforced(need, `the unit has no ${controller} controller: set Delegate=yes in it`);
  return found;
}

function unenforced(need: Need, why: string): Stage1Error {
  return new Stage1Error(
    'unsupported',
    `cannot enforce the isolator ${need.what} on this host: ${why}`,
  );
}
