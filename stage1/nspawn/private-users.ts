import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type IdRange, withIdMap } from '../../src/os/idmap.ts';
import { check, MS, mount, native } from '../../src/os/syscalls.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { mapRoots, ownersAreShifted } from '../../src/stage1/map-roots.ts';
import type { AppMount } from '../../src/stage1/mounts.ts';
import type { Stage1Pod } from '../../src/stage1/pod-context.ts';
import { mountVolumes } from './volumes.ts';

/**
 * The last thing before a pod with a user namespace starts: its volumes are mounted, and they and its
 * root get the ids of the namespace. systemd-nspawn could map what it finds at the top alone.
 */
export function mountMapped(
  pod: Stage1Pod,
  root: string,
  volumes: readonly AppMount[],
  users: IdRange,
): void {
  const { mountMappedApp } = pod;
  if (!mountMappedApp)
    throw new Stage1Error(
      'unsupported',
      'this stage1 makes user namespaces for the rkt that it comes with only: leave --private-users out',
    );
  withIdMap(users, (ids) => {
    mountVolumes(pod.folder, root, volumes, { ids, users, shifted: ownersAreShifted(pod.folder) });
    mapRoots(pod.folder, users, ids, mountMappedApp);
  });
}

/** Mounts volumes into a pod that is running already. */
export function mountVolumesFor(
  users: IdRange | undefined,
  podFolder: string,
  root: string,
  volumes: readonly AppMount[],
): void {
  if (users)
    withIdMap(users, (ids) => {
      mountVolumes(podFolder, root, volumes, { ids, users, shifted: ownersAreShifted(podFolder) });
    });
  else mountVolumes(podFolder, root, volumes);
}

const CLONE_NEWNET = 0x4000_0000;

/** Kernel parameters that stand in for CAP_NET_BIND_SERVICE, and for CAP_NET_RAW as ping(8) needs it. */
const OPEN_TO_ALL = [
  ['net/ipv4/ip_unprivileged_port_start', '0'],
  ['net/ipv4/ping_group_range', '0 2147483647'],
] as const;

/**
 * Moves this process, which is to become the container manager, into the pod's network namespace: from
 * inside a user namespace it could not join one that is the host's. The pod's root has no rights over
 * it, so that what an app may do by default needs none there.
 */
export function enterNetwork(podFolder: string, netns: string): void {
  const fd = openSync(netns, 'r');
  try {
    const setns = native('int setns(int fd, int type)');
    check(setns(fd, CLONE_NEWNET), 'setns', 'to the network namespace of the pod');
  } finally {
    closeSync(fd);
  }
  for (const [name, value] of OPEN_TO_ALL) writeFileSync(join('/proc/sys', name), value);
  showInterfaces(join(podFolder, 'sys'));
}

/** Mounts a /sys that has this network namespace's interfaces, and what is mounted in the one before. */
function showInterfaces(scratch: string): void {
  const below = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith('/sys/'));
  mkdirSync(scratch);
  mount('sysfs', scratch, 'sysfs', MS.NOSUID | MS.NODEV | MS.NOEXEC);
  for (const path of below) mount(path, join(scratch, path.slice('/sys'.length)), '', MS.BIND);
  mount(scratch, '/sys', '', MS.BIND | MS.REC);
}
