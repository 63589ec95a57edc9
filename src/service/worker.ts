import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProgressDisplay } from '../http/download.ts';
import { jobFolder, readRequest, writeProgress, writeResult } from './job-files.ts';

/** How a worker tells what it does. */
export interface WorkerOutput {
  readonly stdout: (text: string | Uint8Array) => void;
  readonly stderr: (text: string | Uint8Array) => void;
  readonly progress: ProgressDisplay;
}

/** Does the work of a job: runs its command, and notes in its folder what becomes of it. */
export async function runJob(
  id: number,
  run: (argv: readonly string[], output: WorkerOutput) => Promise<number>,
): Promise<number> {
  const folder = jobFolder(id);
  const append = (name: string) => (text: string | Uint8Array) =>
    appendFileSync(join(folder, name), text, { mode: 0o600 });
  const { argv } = readRequest(folder);
  const status = await run(argv, {
    stdout: append('stdout'),
    stderr: append('stderr'),
    progress: new RecordedProgress(folder),
  });
  writeResult(folder, status);
  return status;
}

/** Milliseconds between two records. */
const INTERVAL = 100;

interface Download {
  received: number;
  total: number | undefined;
}

/** All downloads of a worker as one: how far, and how fast. */
class RecordedProgress implements ProgressDisplay {
  readonly #folder: string;
  readonly #downloads: Download[] = [];
  #written = 0;
  #bytes = 0;
  #progress = 0;
  #later: NodeJS.Timeout | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  start() {
    const download: Download = { received: 0, total: undefined };
    this.#downloads.push(download);
    let at: number | undefined;
    return {
      update: (received: number, total: number | undefined) => {
        // What an earlier attempt had downloaded says nothing of the rate.
        this.#bytes += received - (at ?? received);
        at = received;
        Object.assign(download, { received, total });
        this.#record(false);
      },
      end: () => {
        download.total ??= download.received;
        this.#record(true);
      },
    };
  }

  #record(now: boolean): void {
    const time = Date.now();
    const passed = time - this.#written;
    if (passed < INTERVAL && !now) {
      // A download that stands still is recorded where it does.
      this.#later ??= setTimeout(() => this.#record(true), INTERVAL - passed).unref();
      return;
    }
    clearTimeout(this.#later);
    this.#later = undefined;
    const known = this.#downloads.filter(({ total }) => total !== undefined);
    const sum = (each: (download: Download) => number) =>
      known.reduce((all, one) => all + each(one), 0);
    const total = sum((one) => one.total ?? 0);
    const progress = total === 0 ? 0 : sum(({ received }) => received) / total;
    // Another layer that is found to be needed takes nothing back.
    this.#progress = Math.max(this.#progress, Math.min(1, progress));
    const rate = this.#written === 0 ? 0 : Math.round((this.#bytes * 1000) / Math.max(passed, 1));
    this.#written = time;
    this.#bytes = 0;
    writeProgress(this.#folder, { progress: this.#progress, rate });
  }
}
