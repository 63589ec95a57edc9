import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NameValue } from '../appc/index.ts';
import { makeFolderInRoot, removeInRoot, writeInRoot } from '../os/files-in-root.ts';
import { readInRoot } from '../os/inroot.ts';
import { POD_FILES } from './pod-files.ts';
import type { AppProcess } from './process.ts';

/**
 * What an app was given when it started, for processes that enter it later: what can be seen of the
 * running app may be what it has made of itself since.
 */
export interface EnterRecord {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly workingDirectory: string;
  readonly environment: readonly NameValue[];
  /** The bounding set; absent: what the pod has. */
  readonly capabilities?: readonly string[];
  readonly noNewPrivileges: boolean;
  /** The app runs under a filter of system calls. */
  readonly filtered: boolean;
  /** Absolute path on the host of the app's root, where that is not the root of its mount namespace. */
  readonly root?: string;
}

/** An app's process and its confinement, as a stage1 has planned them. */
export interface EnterableApp {
  readonly process: Pick<AppProcess, 'name' | 'uid' | 'gid' | 'groups' | 'workingDirectory'>;
  readonly environment: readonly NameValue[];
  readonly capabilities?: readonly string[] | undefined;
  readonly seccomp?: object | undefined;
  readonly noNewPrivileges?: boolean;
  /** Where the app is in the host's file system, if it has not got one of its own. */
  readonly chroot?: string;
}

/** In the stage1 root. */
const FOLDER = '/rkt/enter';

/** Keeps what an app is given in the stage1 root, before anything of the pod runs. */
export function writeEnterRecord(podFolder: string, app: EnterableApp): void {
  const folder = join(podFolder, POD_FILES.stage1Root, FOLDER);
  mkdirSync(folder, { recursive: true, mode: 0o750 });
  writeFileSync(join(folder, app.process.name), recordOf(app), { mode: 0o640 });
}

/** The same for an app that comes later, before it starts. */
export function addEnterRecord(podFolder: string, app: EnterableApp): void {
  const root = join(podFolder, POD_FILES.stage1Root);
  makeFolderInRoot(root, FOLDER, 0o750);
  writeInRoot(root, `${FOLDER}/${app.process.name}`, recordOf(app), 0o640);
}

function recordOf(app: EnterableApp): string {
  const { uid, gid, groups, workingDirectory } = app.process;
  const record: EnterRecord = {
    uid,
    gid,
    groups: app.chroot === undefined ? withOwnGroup(gid, groups) : groups,
    workingDirectory,
    environment: app.environment,
    ...(app.capabilities ? { capabilities: app.capabilities } : {}),
    noNewPrivileges: app.noNewPrivileges ?? false,
    filtered: app.seccomp !== undefined,
    ...(app.chroot === undefined ? {} : { root: app.chroot }),
  };
  return JSON.stringify(record);
}

/** Forgets an app that is removed. */
export function removeEnterRecord(podFolder: string, app: string): void {
  removeInRoot(join(podFolder, POD_FILES.stage1Root), `${FOLDER}/${app}`);
}

/** systemd makes a service's group one of its supplementary ones, unless it is root's: initgroups(3). */
function withOwnGroup(gid: number, groups: readonly number[]): number[] {
  return [...new Set(gid === 0 ? groups : [...groups, gid])];
}

/** What `writeEnterRecord` kept; undefined for an app that no stage1 of this version has started. */
export function readEnterRecord(podFolder: string, app: string): EnterRecord | undefined {
  const text = readInRoot(join(podFolder, POD_FILES.stage1Root), `${FOLDER}/${app}`);
  return text === undefined ? undefined : JSON.parse(text);
}
