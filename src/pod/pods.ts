import { existsSync, readdirSync, statSync } from 'node:fs';
import { errnoOf } from '../os/error.ts';
import { renameDurably } from '../os/files.ts';
import { type Lock, tryLockFolder } from '../os/lock.ts';
import { PodError } from './error.ts';
import { GROUPS, type Group, groupFolder, podFolder } from './layout.ts';

/** What a pod's folder group and lock say together (surface 2.1). */
export type PodState =
  | 'embryo'
  | 'preparing'
  | 'aborted prepare'
  | 'prepared'
  | 'running'
  | 'exited'
  | 'exited deleting'
  | 'exited garbage'
  | 'deleting'
  | 'garbage';

/** A pod as it was found. */
export interface Pod {
  readonly uuid: string;
  readonly group: Group;
  /** Absolute path. */
  readonly folder: string;
  readonly state: PodState;
}

const STATES: Record<Group, { locked: PodState; free: PodState }> = {
  embryo: { locked: 'embryo', free: 'embryo' },
  prepare: { locked: 'preparing', free: 'aborted prepare' },
  prepared: { locked: 'prepared', free: 'prepared' },
  run: { locked: 'running', free: 'exited' },
  'exited-garbage': { locked: 'exited deleting', free: 'exited garbage' },
  garbage: { locked: 'deleting', free: 'garbage' },
};

/** The pods of the given groups; a pod that goes away meanwhile is left out. */
export function listPods(dataDir: string, groups: readonly Group[]): Pod[] {
  const found = groups.flatMap((group) =>
    uuidsOf(dataDir, group).flatMap((uuid) => {
      const pod = look(dataDir, group, uuid);
      return pod ? [pod] : [];
    }),
  );
  // One that moves meanwhile is seen in two groups.
  return [...new Map(found.map((pod) => [pod.uuid, pod])).values()];
}

const SEARCHED: readonly Group[] = ['run', 'exited-garbage', 'prepare', 'prepared'];

/** The one pod whose UUID starts with `prefix`, dashes and case as typed (surface 2.2). */
export function findPod(dataDir: string, prefix: string): Pod {
  const wanted = prefix.trim().toLowerCase();
  if (!wanted) throw new PodError('bad-uuid', 'UUID cannot be empty');
  // A pod that moves while the folders are read is seen twice or not at all: look again.
  for (let attempt = 0; attempt < 3; attempt++) {
    const found = SEARCHED.flatMap((group) =>
      uuidsOf(dataDir, group)
        .filter((uuid) => uuid.startsWith(wanted))
        .map((uuid) => ({ group, uuid })),
    );
    const uuids = new Set(found.map((entry) => entry.uuid));
    if (uuids.size > 1)
      throw new PodError('ambiguous-uuid', `ambiguous uuid "${prefix}", ${uuids.size} matches`);
    for (const { group, uuid } of found) {
      const pod = look(dataDir, group, uuid);
      if (pod) return pod;
    }
  }
  throw new PodError('no-such-pod', `no matches found for "${prefix}"`);
}

/** The same pod as it is now, or undefined when it is gone. */
export function refreshPod(dataDir: string, uuid: string): Pod | undefined {
  for (const group of GROUPS) {
    const pod = look(dataDir, group, uuid);
    if (pod) return pod;
  }
  return undefined;
}

/**
 * What `read` finds in a pod's folder. A collection may move the pod meanwhile: then it is read again
 * where it is now. Undefined when it is gone.
 */
export function readPod<Value>(
  dataDir: string,
  found: Pod,
  read: (pod: Pod) => Value,
): Value | undefined {
  for (let pod: Pod | undefined = found; pod; pod = refreshPod(dataDir, pod.uuid)) {
    try {
      const value = read(pod);
      // Half of it may have been looked for where the pod was no more.
      if (existsSync(pod.folder)) return value;
    } catch (error) {
      if (pod.group === 'garbage') return undefined;
      if (existsSync(pod.folder)) throw error;
    }
  }
  return undefined;
}

/** The error for a pod that was found and is gone. */
export function podRemoved({ uuid }: Pod): PodError {
  return new PodError('no-such-pod', `pod "${uuid}" was removed meanwhile`);
}

/**
 * Takes a pod's exclusive lock, or returns undefined when somebody works on it. One who only looks
 * at its state holds a shared lock for an instant and is waited for.
 */
export function lockPod(pod: Pod): Lock | undefined {
  for (;;) {
    try {
      const lock = tryLockFolder(pod.folder, 'exclusive');
      if (lock && existsSync(pod.folder)) return lock;
      // It was moved before it could be locked.
      if (lock) return void lock.release();
      if (isLocked(pod.folder)) return undefined;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

/** Moves a pod to another group. Its lock, if held, stays: it belongs to the folder itself. */
export function movePod(dataDir: string, pod: Pod, group: Group): Pod {
  const folder = podFolder(dataDir, group, pod.uuid);
  renameDurably(pod.folder, folder);
  return { ...pod, group, folder, state: STATES[group].locked };
}

/** When the pod was marked for collection: its rename changed it last. */
export function markedAt(pod: Pod): Date {
  return statSync(pod.folder).ctime;
}

/** What does not look like a pod is nobody's to collect. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function uuidsOf(dataDir: string, group: Group): string[] {
  try {
    return readdirSync(groupFolder(dataDir, group))
      .filter((name) => UUID.test(name))
      .sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function look(dataDir: string, group: Group, uuid: string): Pod | undefined {
  const folder = podFolder(dataDir, group, uuid);
  const states = STATES[group];
  try {
    const locked = states.locked !== states.free ? isLocked(folder) : statSync(folder) && false;
    return { uuid, group, folder, state: locked ? states.locked : states.free };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

function isLocked(folder: string): boolean {
  const lock = tryLockFolder(folder, 'shared');
  lock?.release();
  return lock === undefined;
}
