import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ImageManifest, PodManifest } from '../appc/index.ts';
import { storedImageManifest, storedPodManifest } from '../appc/stored.ts';
import { readIfExists } from '../os/files.ts';

/** Where things are in a pod's folder, relative to it: what stage0 and stage1 share. */
export const POD_FILES = {
  manifest: 'pod',
  /** Beside a manifest that a user gave: the same with everything filled in. */
  completeManifest: 'pod-complete',
  stage1Manifest: 'stage1/manifest',
  stage1Root: 'stage1/rootfs',
  pid: 'pid',
  ppid: 'ppid',
  networks: 'net',
  flavor: 'flavor',
  subcgroup: 'subcgroup',
  /** Folders of the pod's cgroups in version 1's controllers, where nobody else removes them. */
  controllers: 'controllers',
  sharedVolumes: 'sharedVolumes',
  /** What the apps have written, a file for each; not there when nothing is recorded. */
  logs: 'logs',
  /** The socket of those who attach themselves to the apps' streams. */
  attach: 'attach',
  status: 'stage1/rootfs/rkt/status',
  ready: 'stage1/rootfs/rkt/supervisor-status',
} as const;

/** An app's root file system, relative to the stage1 root. */
export function appRootfs(app: string): string {
  return `opt/stage2/${app}/rootfs`;
}

/** The manifest that the pod is run from. */
export function readPodManifest(podFolder: string): PodManifest {
  const complete = readIfExists(`${podFolder}/${POD_FILES.completeManifest}`);
  return storedPodManifest(complete ?? readFileSync(`${podFolder}/${POD_FILES.manifest}`, 'utf8'));
}

/** The manifest of an app's image, as it was when the pod was prepared. */
export function readAppImageManifest(podFolder: string, app: string): ImageManifest {
  return storedImageManifest(readFileSync(`${podFolder}/appsinfo/${app}/manifest`, 'utf8'));
}

/**
 * The process that was entered as the pod's PID 1 or app, or undefined when it is not there (yet):
 * `pid` names it, `ppid` names a supervisor whose only child it is (contract 3.4).
 */
export function podPid(podFolder: string): number | undefined {
  const pid = readIfExists(join(podFolder, POD_FILES.pid));
  if (pid) return Number(pid.trim());
  const ppid = readIfExists(join(podFolder, POD_FILES.ppid))?.trim();
  if (!ppid) return undefined;
  const children = readIfExists(`/proc/${ppid}/task/${ppid}/children`)?.trim();
  return children ? Number(children.split(' ')[0]) : undefined;
}

/** The process that ends the pod when it is told to: the supervisor, or the app itself. */
export function supervisorPid(podFolder: string): number | undefined {
  const text =
    readIfExists(join(podFolder, POD_FILES.ppid)) ?? readIfExists(join(podFolder, POD_FILES.pid));
  return text === undefined ? undefined : Number(text.trim());
}

/** The signal that ended an app, if one did. */
export function appSignal(podFolder: string, app: string): number | undefined {
  const text = readPlain(join(podFolder, POD_FILES.status, `${app}_signal`));
  return text === undefined ? undefined : Number(text.trim());
}

/** The exit status of each app that has ended, by name. */
export function appStatuses(podFolder: string): Map<string, number> {
  const folder = join(podFolder, POD_FILES.status);
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  // No app has an underscore in its name.
  const entries = names
    .filter((name) => !name.includes('_'))
    .flatMap((name): [string, number][] => {
      const text = readPlain(join(folder, name))?.trim();
      return text && /^\d+$/.test(text) ? [[name, Number(text)]] : [];
    });
  return new Map(entries);
}

/** The text of a regular file; what the pod may have put in its place is not followed or waited for. */
function readPlain(path: string): string | undefined {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isFile()) return undefined;
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    // It is gone, or a link, by now.
    return undefined;
  }
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}
