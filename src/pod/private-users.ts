import { existsSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { basename, join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { readIfExists } from '../os/files.ts';
import { canMapMount, type IdRange, withIdMap } from '../os/idmap.ts';
import { lockFile } from '../os/lock.ts';
import type { IdMove } from '../os/move-owners.ts';
import { ownersAreShifted, SHIFTED, shiftOf } from '../stage1/map-roots.ts';
import { PodError } from './error.ts';
import { GROUPS, groupFolder } from './layout.ts';

/** In a pod's folder: `SHIFT:COUNT`, when it has a user namespace (surface 2.3). */
const FILE = 'private-users-prepared';

const COUNT = 65_536;

/** Multiples of COUNT that systemd leaves to containers: UIDS-GIDS, "Container UID/GID ranges". */
const [FIRST, LAST] = [8, 28_671];

/** ext4, XFS, Btrfs: file systems that need not be asked, which takes a process (statfs(2)). */
const ALWAYS_MAPPED = [0xef53, 0x58465342, 0x9123683e];

/** The range of ids of a pod's user namespace; undefined when it has none. */
export function readIdRange(podFolder: string): IdRange | undefined {
  const text = readIfExists(join(podFolder, FILE));
  if (text === undefined) return undefined;
  const [shift = 0, count = 0] = text.split(':').map(Number);
  return { shift, count };
}

/**
 * Gives a pod a range of ids that no other one of the same data folder has, until it is removed. Its
 * UUID, which is random, decides where the search begins.
 *
 * @throws PodError `unsupported` where the kernel has no user namespaces, or no range is left
 */
export function chooseIdRange(dataDir: string, podFolder: string): IdRange {
  if (!existsSync('/proc/self/uid_map'))
    throw new PodError('unsupported', '--private-users: the kernel has no user namespaces');
  const lock = lockFile(join(dataDir, 'locks/privateUsers'), 'exclusive');
  try {
    const taken = takenShifts(dataDir);
    const all = LAST - FIRST + 1;
    const start = Number.parseInt(basename(podFolder).slice(0, 8), 16);
    const shift = Array.from({ length: all }, (_, n) => (FIRST + ((start + n) % all)) * COUNT).find(
      (candidate) => !taken.has(candidate),
    );
    if (shift === undefined)
      throw new PodError(
        'unsupported',
        '--private-users: every range of ids is in use: run rkt gc',
      );
    writeFileSync(join(podFolder, FILE), `${shift}:${COUNT}`, { mode: 0o640 });
    return { shift, count: COUNT };
  } finally {
    lock.release();
  }
}

/**
 * Why a pod with a user namespace has to have copies of its images, whose owners are changed when it
 * starts (`ownersAreShifted`), or undefined when mounts can do that. The pod's folder notes it.
 */
export function chooseShifting(
  dataDir: string,
  podFolder: string,
  users: IdRange,
): string | undefined {
  const problem = mappingProblem(dataDir, users);
  if (problem !== undefined) writeFileSync(join(podFolder, SHIFTED), '', { mode: 0o640 });
  return problem;
}

function mappingProblem(dataDir: string, users: IdRange): string | undefined {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major < 5 || (major === 5 && minor < 19)) return 'Linux is older than 5.19';
  if (isHost() && ALWAYS_MAPPED.includes(statfsSync(dataDir).type)) return undefined;
  if (withIdMap(users, (ids) => canMapMount(dataDir, ids))) return undefined;
  return `the file system of ${dataDir} has no ID-mapped mounts`;
}

/** In a container with a user namespace the mount of any file system may have its ids mapped already. */
function isHost(): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
}

/** From a shifted pod's ids on the host back to its images'; undefined when nothing is shifted. */
export function shiftBack(podFolder: string): IdMove | undefined {
  const users = ownersAreShifted(podFolder) ? readIdRange(podFolder) : undefined;
  if (!users) return undefined;
  const { from, to, count } = shiftOf(users);
  return { from: to, to: from, count };
}

/** In the order in which a pod goes through the groups, so that none is missed while it moves. */
function takenShifts(dataDir: string): Set<number> {
  return new Set(
    GROUPS.flatMap((group) => podsIn(groupFolder(dataDir, group))).flatMap((folder) => {
      const range = readIdRange(folder);
      return range ? [range.shift] : [];
    }),
  );
}

function podsIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((uuid) => join(folder, uuid));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
