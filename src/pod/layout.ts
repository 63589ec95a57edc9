// Paths are put together plainly: a list does so hundreds of times, and join() parses each.

/** The folders below `pods` that a pod goes through, each change one rename. */
export const GROUPS = [
  'embryo',
  'prepare',
  'prepared',
  'run',
  'exited-garbage',
  'garbage',
] as const;

export type Group = (typeof GROUPS)[number];

/** Where the pods of a group are. */
export function groupFolder(dataDir: string, group: Group): string {
  return `${dataDir}/pods/${group}`;
}

/** Where a pod is while it belongs to a group. */
export function podFolder(dataDir: string, group: Group, uuid: string): string {
  return `${dataDir}/pods/${group}/${uuid}`;
}

/** Held shared while a pod is being prepared, exclusively while unused trees are removed. */
export function prepareLock(dataDir: string): string {
  return `${dataDir}/locks/prepareLock`;
}
