import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type Local, type LocalOptions, startLocal } from '../../lib/local.ts';
import type { Result, Running } from '../../lib/running.ts';
import { BOX, type ImageSpec, packImage } from './image.ts';

export interface PodOptions extends LocalOptions {
  /** Flags before the image. `--net=none` stands first unless a `--net` is among them. */
  readonly pod?: readonly string[];
  /** Flags behind the image. */
  readonly app?: readonly string[];
  /** The image to run; the box when absent. */
  readonly image?: string;
  /** Options before the command, such as `--insecure-options=seccomp`. */
  readonly global?: readonly string[];
}

/** A pod that was started: how it runs, and where its files are. */
export class StartedPod {
  readonly running: Running;
  readonly #box: Box;
  readonly #uuidFile: string;

  constructor(box: Box, running: Running, uuidFile: string) {
    this.#box = box;
    this.running = running;
    this.#uuidFile = uuidFile;
  }

  get uuid(): string {
    return readFileSync(this.#uuidFile, 'utf8');
  }

  get folder(): string {
    return this.#box.podFolder(this.uuid);
  }

  /** The text of a file in the pod's folder. */
  file(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  /** The status file of an app; undefined when there is none. */
  status(app = 'box'): string | undefined {
    const path = join(this.folder, 'stage1/rootfs/rkt/status', app);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  }

  /** The pid of the process that became the pod's supervisor, or its app. */
  get supervisor(): number {
    const name = ['ppid', 'pid'].find((file) => existsSync(join(this.folder, file)));
    return Number(this.file(name ?? 'pid'));
  }
}

export interface EndedPod extends Result {
  readonly pod: StartedPod;
}

/** rkt without systemd, with the box and some more images in its store. */
export class Box {
  readonly local: Local = startLocal();
  /** Keys of the images, by name. */
  readonly keys = new Map<string, string>();

  constructor(...images: readonly ImageSpec[]) {
    beforeAll(() => this.import({}, ...images));
    // Before the scratch folder goes: what a pod has outside of it, its cgroup, is gc's to remove.
    afterAll(() => this.local.rkt(['gc', '--grace-period=0s', '--expire-prepared=0s']));
  }

  /** Puts images into the store. */
  async import(...images: readonly ImageSpec[]): Promise<void> {
    const files = images.map((spec) => packImage(this.local.scratch, spec));
    const keys = await this.ok(['--insecure-options=image', 'image', 'import', '--full', ...files]);
    keys
      .trim()
      .split('\n')
      .forEach((key, index) => {
        this.keys.set(images[index]?.name ?? BOX, key);
      });
  }

  /** Starts a pod of one app, whose shell script is given. */
  start(script: string, options: PodOptions = {}): StartedPod {
    return this.startPod([options.image ?? BOX, ...(options.app ?? []), '--', script], options);
  }

  /** Starts a pod; `args` come after the flags of the pod. */
  startPod(args: readonly string[], options: PodOptions = {}): StartedPod {
    const uuidFile = join(mkdtempSync(join(this.local.scratch, 'pod-')), 'uuid');
    const net = options.pod?.some((flag) => flag.startsWith('--net')) ? [] : ['--net=none'];
    const flags = [...net, `--uuid-file-save=${uuidFile}`, ...(options.pod ?? [])];
    const running = this.local.start(
      [...(options.global ?? []), 'run', ...flags, ...args],
      options,
    );
    return new StartedPod(this, running, uuidFile);
  }

  /** Runs a pod of one app to its end. */
  async run(script: string, options: PodOptions = {}): Promise<EndedPod> {
    const pod = this.start(script, options);
    return { ...(await pod.running.done), pod };
  }

  async runPod(args: readonly string[], options: PodOptions = {}): Promise<EndedPod> {
    const pod = this.startPod(args, options);
    return { ...(await pod.running.done), pod };
  }

  /** Runs a pod from a manifest with one app, named box, of the box's image and this section. */
  async runSection(
    section: Readonly<Record<string, unknown>>,
    options: PodOptions & { manifest?: Readonly<Record<string, unknown>> } = {},
  ): Promise<EndedPod> {
    const image = options.image ?? BOX;
    const app = { exec: ['/bin/sh', '-c', ''], user: '0', group: '0', ...section };
    const manifest = {
      acKind: 'PodManifest',
      acVersion: '0.8.11',
      apps: [{ name: 'box', image: { name: image, id: this.keys.get(image) }, app }],
      ...options.manifest,
    };
    const pod = [...(options.pod ?? []), `--pod-manifest=${this.file(JSON.stringify(manifest))}`];
    return this.runPod([], { ...options, pod });
  }

  /** Runs a command of rkt; a failure throws with what it printed. Gives its output. */
  async ok(args: readonly string[], options: LocalOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.local.rkt(args, options);
    if (code !== 0) throw new Error(`rkt ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Prepares a pod of the box; gives its UUID. */
  async prepare(script = 'true', flags: readonly string[] = []): Promise<string> {
    return (await this.ok(['prepare', '--quiet', ...flags, BOX, '--', script])).trim();
  }

  /** The state that `rkt status` prints. */
  async state(uuid: string): Promise<string> {
    const text = await this.ok(['status', uuid]);
    return /^state=(.*)$/m.exec(text)?.[1] ?? text;
  }

  /** A new file with this text below the scratch folder. */
  file(text: string): string {
    const path = join(mkdtempSync(join(this.local.scratch, 'file-')), 'file');
    writeFileSync(path, text);
    return path;
  }

  /** A new folder below the scratch folder. */
  folder(): string {
    return mkdtempSync(join(this.local.scratch, 'folder-'));
  }

  /** The UUIDs of the pods in a group of folders. */
  group(name: string): string[] {
    const folder = join(this.local.dir, 'pods', name);
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  podFolder(uuid: string): string {
    const group = readdirSync(join(this.local.dir, 'pods')).find((name) =>
      this.group(name).includes(uuid),
    );
    if (!group) throw new Error(`there is no pod ${uuid}`);
    return join(this.local.dir, 'pods', group, uuid);
  }
}
