import { existsSync, readlinkSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { PodManifest } from '../appc/index.ts';
import { POD_FILES, readPodManifest } from '../stage1/pod-files.ts';
import { PodError } from './error.ts';
import { type LogEntry, LogFile } from './log-file.ts';
import type { Pod } from './pods.ts';
import { waitFinished } from './wait.ts';

export interface LogSelection {
  /** One app; all of them when absent. */
  readonly app?: string;
  /** Nothing from before: a time as entries have it. */
  readonly since?: string;
  /** The last so many entries. */
  readonly tail?: number;
}

/** What a pod's apps have written, in the order of time. Throws PodError where nothing is recorded. */
export class PodLogs {
  readonly #dataDir: string;
  readonly #pod: Pod;
  readonly #files: readonly LogFile[];
  readonly #since: string;

  constructor(dataDir: string, pod: Pod, selection: LogSelection) {
    this.#dataDir = dataDir;
    this.#pod = pod;
    const folder = logFolder(pod);
    const names = chooseApps(readPodManifest(pod.folder), selection.app);
    this.#files = names.map((name) => new LogFile(join(folder, name), name));
    this.#since = selection.since ?? '';
  }

  /** What there is now and was not read yet; of the first reading, the last `tail` entries. */
  read(tail = Number.POSITIVE_INFINITY): LogEntry[] {
    const entries: LogEntry[] = [];
    for (const file of this.#files)
      for (const entry of file.read()) if (entry.time >= this.#since) entries.push(entry);
    if (this.#files.length > 1) entries.sort((a, b) => (a.time < b.time ? -1 : +(a.time > b.time)));
    return tail < entries.length ? entries.slice(entries.length - tail) : entries;
  }

  /** Hands on what comes, until the pod has ended. */
  async follow(take: (entries: readonly LogEntry[]) => void): Promise<void> {
    const watcher = watch(logFolder(this.#pod), () => take(this.read()));
    try {
      take(this.read());
      await waitFinished(this.#dataDir, this.#pod, Number.POSITIVE_INFINITY);
      take(this.read());
    } finally {
      watcher.close();
    }
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}

/** The apps that are meant: the named one, or all. Throws PodError for a name that no app has. */
function chooseApps(manifest: PodManifest, name: string | undefined): string[] {
  const names = manifest.apps.map((app) => app.name);
  if (name === undefined) return names;
  if (names.includes(name)) return [name];
  throw new PodError(
    'no-such-app',
    `there is no app "${name}" in this pod: it has ${names.join(', ')}`,
  );
}

function logFolder(pod: Pod): string {
  const folder = join(pod.folder, POD_FILES.logs);
  if (existsSync(folder)) return folder;
  throw new PodError('no-logs', `nothing is recorded of pod "${pod.uuid}": ${whyNot(pod)}`);
}

function whyNot(pod: Pod): string {
  if (!existsSync(join(pod.folder, POD_FILES.ppid)) && !existsSync(join(pod.folder, POD_FILES.pid)))
    return `it has not run, it is ${pod.state}`;
  switch (flavour(pod)) {
    case 'fly':
      return 'an app of the fly flavour writes directly to what rkt run was given, such as the journal of its unit';
    case 'nspawn':
      return 'with --interactive its app has the terminal of whoever started it';
    default:
      return 'its stage1 does not record output';
  }
}

function flavour(pod: Pod): string | undefined {
  try {
    return readlinkSync(join(pod.folder, POD_FILES.flavor));
  } catch {
    return undefined;
  }
}
