import { EventEmitter } from 'node:events';
import { closeSync, constants, type FSWatcher, openSync, readdirSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { GROUPS, groupFolder } from '../pod/layout.ts';
import { type Pod, refreshPod } from '../pod/pods.ts';
import { lockIsFree } from '../pod/wait.ts';
import { POD_FILES } from '../stage1/pod-files.ts';
import { podsOf } from './pods.ts';

interface WatchEvents {
  podNew: [uuid: string];
  podChanged: [uuid: string];
  podRemoved: [uuid: string];
  imageNew: [key: string];
  imageRemoved: [key: string];
}

/** How long what comes at once is gathered, in milliseconds. */
const GATHER = 20;
/** How long a machine that has ended may take until its pod has, in milliseconds. */
const ENDING = 30_000;

/** Tells of pods and images that come, change and go: inotify(7) on the folders that they are in. */
export class DataWatch extends EventEmitter<WatchEvents> {
  readonly #dataDir: string;
  readonly #watchers = new Map<string, FSWatcher>();
  /** Those that run, each with its folders as far as they are there. */
  readonly #running = new Map<string, Map<string, FSWatcher>>();
  #touched = new Set<string>();
  #pods = new Map<string, string>();
  #images = new Set<string>();
  #pending: NodeJS.Timeout | undefined;

  constructor(dataDir: string) {
    super();
    this.#dataDir = dataDir;
    try {
      this.#watchFolders();
      this.#pods = this.#readPods();
      this.#images = new Set(this.#readImages());
    } catch (error) {
      this.close();
      throw error;
    }
    this.#touched.clear();
  }

  /** Looks what has changed, and tells. */
  look(): void {
    this.#watchFolders();
    const pods = this.#readPods();
    const images = new Set(this.#readImages());
    const [hadPods, hadImages, touched] = [this.#pods, this.#images, this.#touched];
    this.#pods = pods;
    this.#images = images;
    this.#touched = new Set();
    for (const [uuid, state] of pods)
      if (!hadPods.has(uuid)) this.emit('podNew', uuid);
      else if (hadPods.get(uuid) !== state || touched.has(uuid)) this.emit('podChanged', uuid);
    for (const uuid of hadPods.keys()) if (!pods.has(uuid)) this.emit('podRemoved', uuid);
    for (const key of images) if (!hadImages.has(key)) this.emit('imageNew', key);
    for (const key of hadImages) if (!images.has(key)) this.emit('imageRemoved', key);
  }

  /** A machine has ended: its pod's state changes as soon as its lock is free, which no file tells. */
  async machineEnded(machine: string): Promise<void> {
    const pod = refreshPod(this.#dataDir, machine.replace(/^rkt-/, ''));
    if (pod?.state === 'running') await lockIsFree(pod.folder, Date.now() + ENDING);
    this.look();
  }

  close(): void {
    clearTimeout(this.#pending);
    for (const watcher of this.#watchers.values()) watcher.close();
    for (const uuid of this.#running.keys()) this.#forget(uuid);
  }

  /** What changes in a pod that runs: its pid, unit and addresses, that it is ready, its apps' ends. */
  #watchRunning(pods: readonly Pod[]): void {
    const running = new Map(pods.filter(isRunning).map((pod) => [pod.uuid, pod.folder]));
    for (const uuid of this.#running.keys()) if (!running.has(uuid)) this.#forget(uuid);
    for (const [uuid, folder] of running) {
      const watchers = this.#running.get(uuid) ?? new Map<string, FSWatcher>();
      this.#running.set(uuid, watchers);
      for (const path of ['', dirname(POD_FILES.ready), POD_FILES.status])
        if (!watchers.has(path))
          try {
            const watcher = watchBelow(folder, path, () => {
              this.#touched.add(uuid);
              this.#lookSoon();
            });
            watcher.on('error', () => {});
            watchers.set(path, watcher);
            this.#touched.add(uuid);
          } catch {
            // It is not there yet: that it comes the folder above it tells. Or it is gone again.
          }
    }
  }

  #forget(uuid: string): void {
    for (const watcher of this.#running.get(uuid)?.values() ?? []) watcher.close();
    this.#running.delete(uuid);
  }

  #watchFolders(): void {
    const folders = [
      dirname(this.#dataDir),
      this.#dataDir,
      `${this.#dataDir}/pods`,
      ...GROUPS.map((group) => groupFolder(this.#dataDir, group)),
      `${this.#dataDir}/cas`,
      `${this.#dataDir}/cas/image`,
    ];
    for (const folder of folders)
      if (!this.#watchers.has(folder))
        try {
          const watcher = watch(folder, () => this.#lookSoon());
          watcher.on('error', () => this.#watchers.delete(folder));
          this.#watchers.set(folder, watcher);
        } catch (error) {
          if (errnoOf(error) !== 'ENOENT') throw error;
        }
  }

  #lookSoon(): void {
    this.#pending ??= setTimeout(() => {
      this.#pending = undefined;
      this.look();
    }, GATHER);
  }

  #readPods(): Map<string, string> {
    const pods = podsOf(this.#dataDir);
    this.#watchRunning(pods);
    return new Map(pods.map((pod) => [pod.uuid, pod.state]));
  }

  #readImages(): string[] {
    try {
      return readdirSync(`${this.#dataDir}/cas/image`);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

function isRunning({ state }: Pod): boolean {
  return state === 'running';
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/**
 * Has a folder below another one watched, where no link leads to it: an app that reaches the root of its
 * pod may put some there. Not by openat2(2), which RestrictSUIDSGID= keeps from the helper.
 */
function watchBelow(folder: string, path: string, listener: () => void): FSWatcher {
  const open = (name: string) => openSync(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  let fd = open(folder);
  try {
    for (const name of path.split('/').filter(Boolean)) {
      const above = fd;
      fd = open(`/proc/self/fd/${above}/${name}`);
      closeSync(above);
    }
    return watch(`/proc/self/fd/${fd}`, listener);
  } finally {
    closeSync(fd);
  }
}
