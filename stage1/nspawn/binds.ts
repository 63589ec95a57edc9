import { statInRoot } from '../../src/os/inroot.ts';
import { makeTarget } from '../../src/os/mount-in-root.ts';
import type { RunArguments } from '../../src/stage1/contract.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import type { AppMount } from '../../src/stage1/mounts.ts';
import { JOURNAL } from './command.ts';
import type { AppService, Bind } from './service.ts';
import { isFolderVolume, volumePath } from './volumes.ts';

/**
 * Mount points in an app's root. Each is made, and followed to where its symlinks lead inside that
 * root, before systemd sees it: what an image puts in the way cannot lead a mount out of the root.
 */
export class Places {
  readonly root: string;
  readonly #app: string;

  constructor(root: string, app: string) {
    this.root = root;
    this.#app = app;
  }

  folder(path: string): string {
    return this.#place(path, true);
  }

  file(path: string): string {
    return this.#place(path, false);
  }

  #place(path: string, isFolder: boolean): string {
    try {
      return makeTarget(this.root, path, isFolder);
    } catch (error) {
      throw new Stage1Error('app-setup', `cannot mount at ${path} of app "${this.#app}"`, error);
    }
  }
}

/** The parts of /sys that an app sees: not firmware, fs with the cgroups, hypervisor, module, power. */
const SYS_FOLDERS = ['block', 'bus', 'class', 'dev', 'devices', 'kernel'];

/** Folders that are empty at the start, whatever the image has there. */
export function temporaryFolders(places: Places, openPaths: boolean): AppService['temporary'] {
  const run = { path: plain(places.folder('/run')), readOnly: false };
  return openPaths ? [run] : [run, { path: plain(places.folder('/sys')), readOnly: true }];
}

/** TemporaryFileSystem= has no quotes: a path that an image's symlink leads to could add options. */
function plain(path: string): string {
  if (!/[\s:,\\"'%]|\p{Cc}/u.test(path)) return path;
  throw new Stage1Error('app-setup', `cannot mount at ${JSON.stringify(path)}: an unusual path`);
}

export interface SystemBinds {
  readonly insecure: RunArguments['insecure'];
  readonly journal: boolean;
  readonly files: { resolv: RunArguments['resolv']; hosts: RunArguments['hosts'] };
  readonly userNamespace: boolean;
}

/** The kernel's file systems as the container manager made them, and the pod's own /etc files. */
export function systemBinds(places: Places, request: SystemBinds): Bind[] {
  const { resolv, hosts } = request.files;
  const ownHosts = statInRoot(places.root, '/etc/hosts') !== undefined;
  return [
    { source: '/proc', target: places.folder('/proc'), readOnly: false },
    ...sys(places, request.insecure.paths),
    ...devices(places, request.userNamespace),
    ...(request.journal
      ? [
          {
            source: JOURNAL,
            target: `${places.folder('/run')}/systemd/journal`,
            readOnly: true,
          },
          // Where syslog(3) looks; the folder itself is read-only, and has no link to there.
          {
            source: `${JOURNAL}/dev-log`,
            target: `${places.folder('/dev')}/log`,
            readOnly: true,
            optional: true,
          },
        ]
      : []),
    { source: '/etc/hostname', target: places.file('/etc/hostname'), readOnly: true },
    ...(resolv === 'stage0' || resolv === 'host'
      ? [
          {
            source: '/etc/rkt-resolv.conf',
            target: places.file('/etc/resolv.conf'),
            readOnly: true,
          },
        ]
      : []),
    ...(hosts === 'stage0' || hosts === 'host' || !ownHosts
      ? [{ source: '/etc/rkt-hosts', target: places.file('/etc/hosts'), readOnly: true }]
      : []),
  ];
}

function sys(places: Places, open: boolean): Bind[] {
  const target = places.folder('/sys');
  if (open) return [{ source: '/sys', target, readOnly: false }];
  return SYS_FOLDERS.map((name) => ({
    source: `/sys/${name}`,
    target: `${target}/${name}`,
    readOnly: false,
    optional: true,
  }));
}

/**
 * The device nodes that the container manager made. The folder is read-only: with CAP_MKNOD an app
 * could make more, which works nowhere else in its root, since every other mount forbids devices. In
 * a user namespace what the container manager mounted cannot be taken apart: mount_namespaces(7).
 */
function devices(places: Places, userNamespace: boolean): Bind[] {
  const target = places.folder('/dev');
  const writable = ['mqueue', 'pts', 'shm'];
  return [
    { source: '/dev', target, readOnly: true, alone: !userNamespace },
    ...writable.map((name) => ({
      source: `/dev/${name}`,
      target: `${target}/${name}`,
      readOnly: false,
    })),
  ];
}

/** The mount of a volume in an app's root. Throws Stage1Error `app-setup` where that would hide the root. */
export function volumeBind(places: Places, { id, volume, target, readOnly }: AppMount): Bind {
  const place = isFolderVolume(volume) ? places.folder(target) : places.file(target);
  if (place === '/')
    throw new Stage1Error(
      'app-setup',
      `cannot mount volume "${volume.name}" at ${target}: that is the root of the app`,
    );
  return { source: volumePath(id), target: place, readOnly };
}

/** Whether no volume covers a place: where one does, it is what the user wants there. */
export function isFree(place: string, volumes: readonly Bind[]): boolean {
  return volumes.every(({ target }) => place !== target && !place.startsWith(`${target}/`));
}
