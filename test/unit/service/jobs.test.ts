import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  watch,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { jobFolder, mark, writeProgress, writeResult } from '../../../src/service/job-files.ts';
import { Jobs } from '../../../src/service/jobs.ts';

vi.mock(import('node:fs'), async (original) => {
  const fs = await original();
  return { ...fs, watch: vi.fn(fs.watch) as unknown as typeof fs.watch };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-jobs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Units that do nothing: the test is the worker. */
const idle = { start: async () => {}, stop: async () => {}, isActive: async () => true };
const start = (jobs: Jobs) => jobs.start({ type: 'fetch', subject: 'x' }, () => ['fetch', 'x']);

test('a job tells what its worker prints and how far it is, and its end', async () => {
  const jobs = new Jobs(idle, folder, folder);
  const job = await start(jobs);
  const progress = new Promise<void>((resolve) => job.once('progress', () => resolve()));
  writeProgress(job.folder, { progress: 0.5, rate: 7 });
  await progress;
  expect(job.now).toEqual({ progress: 0.5, rate: 7 });
  appendFileSync(join(job.folder, 'stdout'), 'sha512-é\n');
  writeResult(job.folder, 0);
  mark(job.folder, 'ended');
  expect(await job.done()).toMatchObject({ result: 'done', status: 0, stdout: 'sha512-é\n' });
  expect(existsSync(job.folder)).toBe(false);
  expect(jobs.list()).toEqual([]);
});

test('a worker that is killed has failed, one that was canceled is so', async () => {
  const jobs = new Jobs(idle, folder, folder);
  const [killed, canceled] = [await start(jobs), await start(jobs)];
  mark(killed.folder, 'ended');
  expect(await killed.done()).toMatchObject({ result: 'failed', status: undefined });
  await jobs.cancel(canceled);
  mark(canceled.folder, 'ended');
  expect(await canceled.done()).toMatchObject({ result: 'canceled' });
});

test('the reason of a failure is the last line, without what the CLI puts before it', async () => {
  const job = await start(new Jobs(idle, folder, folder));
  appendFileSync(join(job.folder, 'stderr'), 'rkt: fetch: a note\nrkt: fetch: no route: gone\n');
  writeResult(job.folder, 254);
  mark(job.folder, 'ended');
  expect(await job.done()).toMatchObject({ result: 'failed', message: 'no route: gone' });
});

test('what is wrong with what the caller has sent is told without a path of ours', async () => {
  for (const [name, told, expected] of [
    ['manifest', 'cannot use PATH: not JSON', 'cannot use the manifest: not JSON'],
    ['key', 'cannot read key PATH: it holds none', 'cannot read the key: it holds none'],
  ] as const) {
    const job = await start(new Jobs(idle, folder, folder));
    const line = told.replace('PATH', join(job.folder, name));
    appendFileSync(join(job.folder, 'stderr'), `rkt: trust: ${line}\n`);
    writeResult(job.folder, 254);
    mark(job.folder, 'ended');
    expect((await job.done()).message).toBe(expected);
  }
});

test('the next helper finds what runs, tells what has ended, and clears what never began', async () => {
  const before = new Jobs(idle, folder, folder);
  const [running, over] = [await start(before), await start(before)];
  const torn = jobFolder(1, folder);
  mkdirSync(torn);
  const after = new Jobs(
    { ...idle, isActive: async (unit) => unit === running.unit },
    folder,
    folder,
  );
  const ends: string[] = [];
  after.onEnd((job, { result }) => ends.push(`${job.id} ${result}`));
  await after.recover();
  expect(after.list().map(({ id }) => id)).toEqual([running.id]);
  expect(ends).toEqual([`${over.id} failed`]);
  expect(existsSync(torn)).toBe(false);
});

test('the next helper keeps what runs also where systemd does not answer', async () => {
  const running = await start(new Jobs(idle, folder, folder));
  const isActive = async () => {
    throw new Error('no answer within 25 s');
  };
  const after = new Jobs({ ...idle, isActive }, folder, folder);
  await after.recover();
  expect(after.list().map(({ id }) => id)).toEqual([running.id]);
  expect(existsSync(running.folder)).toBe(true);
});

test('a transfer that ends after it was left is told by the next helper, a command by this one', async () => {
  const before = new Jobs(idle, folder, folder);
  const early = await start(before);
  const command = await before.start({ type: 'command', subject: 'x' }, () => ['rm']);
  before.leaveTransfers();
  const late = await start(before);
  const told: number[] = [];
  before.onEnd(({ id }) => told.push(id));
  for (const job of [early, late, command]) {
    writeResult(job.folder, 0);
    mark(job.folder, 'ended');
  }
  expect(await command.done()).toMatchObject({ result: 'done' });
  early.look();
  expect(told).toEqual([command.id]);
  const after = new Jobs(idle, folder, folder);
  const ends: string[] = [];
  after.onEnd((job, { result }) => ends.push(`${job.id} ${result}`));
  await after.recover();
  expect(ends.sort()).toEqual([`${early.id} done`, `${late.id} done`]);
});

test('what cannot be watched keeps its folder, and is followed as soon as it can', async () => {
  const running = await start(new Jobs(idle, folder, folder));
  const after = new Jobs(idle, folder, folder);
  const refuse = () => {
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  };
  vi.mocked(watch).mockImplementationOnce(refuse);
  await expect(after.recover()).rejects.toThrow('no space left');
  expect(after.list()).toEqual([]);
  expect(existsSync(running.folder)).toBe(true);
  await after.recover();
  expect(after.list().map(({ id }) => id)).toEqual([running.id]);
  vi.mocked(watch).mockImplementationOnce(refuse);
  await expect(start(after)).rejects.toThrow('no space left');
  expect(readdirSync(folder).filter((name) => /^\d+$/.test(name))).toEqual([`${running.id}`]);
});

test('a unit that cannot be started is an error, and leaves nothing', async () => {
  const refuse = async () => {
    throw new Error('no such unit');
  };
  const jobs = new Jobs({ ...idle, start: refuse }, folder, folder);
  await expect(start(jobs)).rejects.toThrow('no such unit');
  expect(jobs.list()).toEqual([]);
});
