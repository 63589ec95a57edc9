import { EventEmitter } from 'node:events';
import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { GROUPS, groupFolder } from '../pod/layout.ts';
import { type Pod, refreshPod } from '../pod/pods.ts';
import { lockIsFree } from '../pod/wait.ts';
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
  #pods = new Map<string, string>();
  #images = new Set<string>();
  #pending: NodeJS.Timeout | undefined;

  constructor(dataDir: string) {
    super();
    this.#dataDir = dataDir;
    this.#watchFolders();
    this.#pods = this.#readPods();
    this.#images = new Set(this.#readImages());
  }

  /** Looks what has changed, and tells. */
  look(): void {
    this.#watchFolders();
    const pods = this.#readPods();
    const images = new Set(this.#readImages());
    const [hadPods, hadImages] = [this.#pods, this.#images];
    this.#pods = pods;
    this.#images = images;
    for (const [uuid, state] of pods)
      if (!hadPods.has(uuid)) this.emit('podNew', uuid);
      else if (hadPods.get(uuid) !== state) this.emit('podChanged', uuid);
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
    return new Map(podsOf(this.#dataDir).map((pod: Pod) => [pod.uuid, pod.state]));
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
