import { EventEmitter } from 'node:events';
import {
  closeSync,
  existsSync,
  type FSWatcher,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { errnoOf } from '../os/error.ts';
import { ServiceError } from './error.ts';
import {
  isMarked,
  JOBS_FOLDER,
  type JobProgress,
  type JobRequest,
  linkData,
  makeJobFolder,
  mark,
  readProgress,
  readRequest,
  readResult,
  writeRequest,
} from './job-files.ts';

/** The units of the workers. */
export interface Units {
  start(name: string): Promise<void>;
  stop(name: string): Promise<void>;
  /** Whether it runs, or is about to. */
  isActive(name: string): Promise<boolean>;
}

/** How a job has ended. */
export interface JobEnd {
  readonly result: 'done' | 'failed' | 'canceled';
  /** The exit status of the command; undefined when it was killed. */
  readonly status: number | undefined;
  readonly stdout: string;
  /** What was wrong, in one line. */
  readonly message: string;
}

interface JobEvents {
  stdout: [text: string];
  stderr: [text: string];
  progress: [];
  ended: [JobEnd];
}

/** Work that goes on in a unit of its own, as its folder tells. */
export class Job extends EventEmitter<JobEvents> {
  readonly id: number;
  readonly request: JobRequest;
  readonly folder: string;
  now: JobProgress = { progress: 0, rate: 0 };
  end: JobEnd | undefined;
  /** What was printed so far. */
  readonly printed = { stdout: '', stderr: '' };
  readonly #read = { stdout: new Tail(), stderr: new Tail() };
  #watcher: FSWatcher | undefined;
  #isLeft = false;

  /** Throws when the folder has no whole request. */
  constructor(id: number, folder: string) {
    super();
    this.setMaxListeners(0);
    this.id = id;
    this.folder = folder;
    this.request = readRequest(folder);
  }

  get unit(): string {
    return `${this.request.type === 'fetch' ? 'rkt-transfer' : 'rkt-job'}@${this.id}.service`;
  }

  /** Settles when the work has ended. */
  async done(): Promise<JobEnd> {
    return this.end ?? new Promise((resolve) => this.once('ended', resolve));
  }

  /** Has what is new taken in from now on. */
  watch(): void {
    this.#watcher = watch(this.folder, () => this.look());
  }

  /** Follows it no longer: what it does, and its end, are for the next helper, which finds its folder. */
  leave(): void {
    this.#isLeft = true;
    this.#watcher?.close();
  }

  /** Takes in what is new. */
  look(): void {
    if (this.end || this.#isLeft) return;
    // Asked first: what is read after it is complete.
    const isOver = isMarked(this.folder, 'ended');
    for (const name of ['stdout', 'stderr'] as const) {
      const text = this.#read[name].read(join(this.folder, name));
      if (text === '') continue;
      this.printed[name] = `${this.printed[name]}${text}`.slice(-MOST_KEPT);
      this.emit(name, text);
    }
    const progress = readProgress(this.folder);
    if (progress && JSON.stringify(progress) !== JSON.stringify(this.now)) {
      this.now = progress;
      this.emit('progress');
    }
    if (isOver) this.#ended();
  }

  #ended(): void {
    this.#watcher?.close();
    const status = readResult(this.folder);
    const canceled = status !== 0 && isMarked(this.folder, 'canceled');
    const { stdout, stderr } = this.printed;
    this.end = {
      result: status === 0 ? 'done' : canceled ? 'canceled' : 'failed',
      status,
      stdout,
      message: canceled ? 'canceled' : callersFiles(lastLine(stderr, status), this.folder),
    };
    rmSync(this.folder, { recursive: true, force: true });
    this.emit('ended', this.end);
  }
}

/** A command that prints more than that has the end of it kept. */
const MOST_KEPT = 1 << 20;

function lastLine(stderr: string, status: number | undefined): string {
  if (status === undefined) return 'its worker was killed';
  const line = stderr.trimEnd().split('\n').at(-1) ?? '';
  return line.replace(/^rkt: ([a-z -]+: )?/, '') || `it ended with ${status}`;
}

/** What the caller has sent is in files beside the job: they know it by what it is. */
function callersFiles(message: string, folder: string): string {
  return ['manifest', 'key'].reduce(
    (text, name) =>
      text
        .replaceAll(`${name} ${folder}/${name}`, `the ${name}`)
        .replaceAll(`${folder}/${name}`, `the ${name}`),
    message,
  );
}

/** What is added to a file. */
class Tail {
  #at = 0;
  readonly #decoder = new StringDecoder('utf8');

  read(path: string): string {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return '';
      throw error;
    }
    const part = Buffer.alloc(65_536);
    let text = '';
    for (let size = 1; size > 0; ) {
      size = readSync(fd, part, 0, part.length, this.#at);
      this.#at += size;
      text += this.#decoder.write(part.subarray(0, size));
    }
    closeSync(fd);
    return text;
  }
}

/** All jobs. Their state is in their folders, so that a helper finds those of the one before it. */
export class Jobs {
  readonly #units: Units;
  readonly #dataDir: string;
  readonly #folder: string;
  readonly #jobs = new Map<number, Job>();
  readonly #events = new EventEmitter<{ started: [Job]; ended: [Job, JobEnd] }>();
  #lastId = 0;
  #leavesTransfers = false;

  constructor(units: Units, dataDir: string, folder = JOBS_FOLDER) {
    this.#units = units;
    this.#dataDir = dataDir;
    this.#folder = folder;
  }

  onStart(listener: (job: Job) => void): void {
    this.#events.on('started', listener);
  }

  onEnd(listener: (job: Job, end: JobEnd) => void): void {
    this.#events.on('ended', listener);
  }

  list(): Job[] {
    return [...this.#jobs.values()];
  }

  get(id: number): Job | undefined {
    return this.#jobs.get(id);
  }

  /** Has a worker do something; settles as soon as its unit runs. `files` are put beside the job. */
  async start(
    request: Omit<JobRequest, 'argv'>,
    argv: (path: (name: string) => string) => readonly string[],
    files: Readonly<Record<string, string>> = {},
  ): Promise<Job> {
    if (request.type === 'fetch') checkVisible(this.#dataDir);
    // By the time, so that no number comes again after a restart.
    this.#lastId = Math.max(this.#lastId + 1, Date.now());
    const id = this.#lastId;
    const words = argv((name) => join(this.#folder, String(id), name));
    const folder = makeJobFolder(id, this.#folder);
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(folder, name), text, { mode: 0o600 });
    linkData(this.#dataDir, this.#folder);
    writeRequest(folder, { ...request, argv: [`--dir=${this.#dataDir}`, ...words] });
    const job = new Job(id, folder);
    try {
      this.#follow(job);
    } catch (error) {
      // Nothing has begun.
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
    try {
      await this.#units.start(job.unit);
    } catch (error) {
      mark(folder, 'ended');
      job.look();
      throw error;
    }
    return job;
  }

  /** Ends a job; what it has finished stays. */
  async cancel(job: Job): Promise<void> {
    if (job.end) return;
    mark(job.folder, 'canceled');
    await this.#units.stop(job.unit);
  }

  /**
   * Follows transfers no longer, those that start from now on neither: the next helper tells of them.
   * Commands are followed to their end, for which their callers wait.
   */
  leaveTransfers(): void {
    this.#leavesTransfers = true;
    for (const job of this.#jobs.values()) if (isTransfer(job)) job.leave();
  }

  /** Follows nothing any more. */
  leave(): void {
    for (const job of this.#jobs.values()) job.leave();
  }

  /**
   * Takes up what an earlier helper has left: what runs is watched, what has ended is told. Throws, and
   * all folders stay, when something cannot be read or watched.
   */
  async recover(): Promise<void> {
    for (const name of namesIn(this.#folder)) {
      const folder = join(this.#folder, name);
      let job: Job;
      try {
        job = new Job(Number(name), folder);
      } catch (error) {
        if (!isTorn(error)) throw error;
        // Its helper was killed before it had written what is to be done.
        rmSync(folder, { recursive: true, force: true });
        continue;
      }
      this.#follow(job);
      job.look();
      // Where systemd does not say, the folder will.
      const isActive = await this.#units.isActive(job.unit).catch(() => true);
      if (!isActive && !job.end) {
        mark(folder, 'ended');
        job.look();
      }
    }
  }

  #follow(job: Job): void {
    if (this.#leavesTransfers && isTransfer(job)) job.leave();
    // What cannot be watched is not told of.
    else job.watch();
    this.#jobs.set(job.id, job);
    job.once('ended', (end) => {
      this.#jobs.delete(job.id);
      this.#events.emit('ended', job, end);
    });
    this.#events.emit('started', job);
  }
}

/** Whether somebody else than its caller looks at a job. */
export function isTransfer({ request }: Job): boolean {
  return request.type !== 'command';
}

/** Whether a request could not be read because it is not there, or not whole. */
function isTorn(error: unknown): boolean {
  const errno = errnoOf(error);
  return error instanceof SyntaxError || errno === 'ENOENT' || errno === 'ENOTDIR';
}

/** What the helper does not see, the worker of a transfer does not either: they are confined alike. */
function checkVisible(dataDir: string): void {
  if (existsSync(dataDir)) return;
  const [, top] = /^(\/tmp|\/var\/tmp)\//.exec(dataDir) ?? [];
  const how = top ? `put it elsewhere, not below ${top}` : `make it by "mkdir -p ${dataDir}"`;
  throw new ServiceError('Failed', `services do not see the data folder ${dataDir}: ${how}`);
}

/** What a job was to print, or its failure. Throws ServiceError `Failed`. */
export function outputOf({ result, stdout, message }: JobEnd): string {
  if (result !== 'done') throw new ServiceError('Failed', message);
  return stdout;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^\d+$/.test(name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
