import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../os/files.ts';

/**
 * A job is a folder /run/rkt/transfers/ID, which its worker and the helper share:
 *
 * - `job`: what is to be done, written by the helper before anything else;
 * - `stdout`, `stderr`: what the command prints;
 * - `progress`: how far it is, replaced as it goes on;
 * - `canceled`: somebody wants it to end;
 * - `result`: the exit status, when the command came to its own end;
 * - `ended`: made when the worker's unit is over, however that came about.
 *
 * Beside them `data` is a link to the data folder: what the units of workers may write to.
 */
export const JOBS_FOLDER = '/run/rkt/transfers';

/** `command` is waited for by the one who asked; the others are transfers, with an object each. */
export type JobType = 'fetch' | 'gc' | 'command';

/** What a worker is to do. */
export interface JobRequest {
  readonly type: JobType;
  /** What it is about, for people. */
  readonly subject: string;
  /** The command line behind `rkt`. */
  readonly argv: readonly string[];
}

/** Progress from 0 to 1, rate in bytes per second. */
export interface JobProgress {
  readonly progress: number;
  readonly rate: number;
}

/** The folder of a job, whether it is there or not. */
export function jobFolder(id: number, folder = JOBS_FOLDER): string {
  return join(folder, String(id));
}

/** Tells the worker what to do; root alone can read it. */
export function writeRequest(folder: string, request: JobRequest): void {
  writeFileAtomic(join(folder, 'job'), JSON.stringify(request), 0o600);
}

/** What the worker is to do. Throws when the folder has no whole request. */
export function readRequest(folder: string): JobRequest {
  return JSON.parse(readFileSync(join(folder, 'job'), 'utf8'));
}

/** Makes the folder of a job, with the one above it, and gives its path. Throws when it exists. */
export function makeJobFolder(id: number, folder = JOBS_FOLDER): string {
  const made = jobFolder(id, folder);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  mkdirSync(made, { mode: 0o700 });
  return made;
}

/** Tells the units of workers where the data folder is. */
export function linkData(dataDir: string, folder = JOBS_FOLDER): void {
  const made = join(folder, `data.${process.pid}`);
  symlinkSync(dataDir, made);
  renameSync(made, join(folder, 'data'));
}

/** What somebody else sees whole or not at all; it need not outlast the machine. */
export function writeProgress(folder: string, progress: JobProgress): void {
  writeFileAtomic(join(folder, 'progress'), JSON.stringify(progress), 0o600);
}

/** How far the worker is; undefined before it has told. */
export function readProgress(folder: string): JobProgress | undefined {
  const path = join(folder, 'progress');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

/** Notes the exit status of the command. */
export function writeResult(folder: string, status: number): void {
  writeFileAtomic(join(folder, 'result'), String(status), 0o600);
}

/** The exit status; undefined when the worker was killed before it had one. */
export function readResult(folder: string): number | undefined {
  const path = join(folder, 'result');
  return existsSync(path) ? Number(readFileSync(path, 'utf8')) : undefined;
}

/** Notes that somebody wants the job to end, or that its worker has. */
export function mark(folder: string, name: 'canceled' | 'ended'): void {
  writeFileSync(join(folder, name), '');
}

/** Whether that is noted. */
export function isMarked(folder: string, name: 'canceled' | 'ended'): boolean {
  return existsSync(join(folder, name));
}
