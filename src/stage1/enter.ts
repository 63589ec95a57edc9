import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readFileSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { pipe, sealedProgram } from '../os/syscalls.ts';
import {
  confinementOf,
  type EnterCommand,
  hostUid,
  labelOf,
  openTarget,
  processOf,
  takeOver,
} from './enter-plan.ts';
import { enterProgram, failedStep, REPORT_FD, type Step } from './enter-program.ts';
import { readEnterRecord } from './enter-record.ts';
import { enterSteps } from './enter-steps.ts';
import { enterStreams } from './enter-streams.ts';
import { differingLimits, findApp } from './enter-target.ts';
import { Stage1Error } from './error.ts';

/** A running app of a pod: contract 3.5, `enter`. */
export interface EnterApp {
  readonly podFolder: string;
  /** The pod's first process, or the app itself where there is none: `podPid`. */
  readonly pid: number;
  readonly app: string;
}

/**
 * Runs a command in an app, confined as the app is, and gives its exit status, 128 + signal for a
 * killed one. Its process is made outside of the pod and never runs a program of the host's inside
 * (see `enterProgram` and `enterSteps`); this process stays outside and copies the streams.
 */
export async function enterApp(where: EnterApp, command: EnterCommand): Promise<number> {
  const { podFolder, pid, app } = where;
  const record = readEnterRecord(podFolder, app);
  if (!record)
    throw new Stage1Error(
      'unsupported',
      `cannot enter app "${app}": the pod was started by another version of rkt`,
    );
  const target =
    record.root === undefined ? findApp(podFolder, pid, app) : { podPid: pid, mainPid: pid };
  takeOver(target);
  const own = processOf(record, command);
  const streams = enterStreams(target, hostUid(target.podPid, own.uid));
  const opened = openTarget(target, REPORT_FD + 1);
  const steps = enterSteps({
    ...own,
    ...confinementOf(target, record, app),
    ...opened.plan,
    root: record.root,
    label: labelOf(target),
    limits: differingLimits(target.mainPid),
    terminal: streams.terminal,
  });
  const [report, reportEnd] = pipe();
  const program = sealedProgram(enterProgram(steps));
  const child = spawn(`/proc/${process.pid}/fd/${program}`, [], {
    stdio: [...streams.fds, reportEnd, ...opened.fds],
    cwd: '/',
    env: {},
  });
  const ended = endOf(child);
  for (const fd of [program, reportEnd, ...opened.fds]) closeSync(fd);
  streams.connect();
  passSignals(child);
  const code = await ended;
  await streams.finish();
  if (code === FAILED) throwFailure(report, steps, command, app);
  return code;
}

/** What the program ends with when a step has failed; a command may end with it as well. */
const FAILED = 254;

function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) =>
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)),
    );
  });
}

/** What ends this process is meant for the command, which is a child of our child. */
function passSignals(child: ChildProcess): void {
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const)
    process.on(signal, () => {
      const inner = Number(children(child.pid ?? 0).split(' ')[0]);
      if (inner) process.kill(inner, signal);
      else child.kill(signal);
    });
}

function children(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  } catch {
    // It has just ended.
    return '';
  }
}

function throwFailure(
  report: number,
  steps: readonly Step[],
  { argv }: EnterCommand,
  app: string,
): void {
  const bytes = Buffer.alloc(16);
  const failed = failedStep(bytes.subarray(0, readSync(report, bytes)));
  const step = failed && steps[failed.index];
  if (!failed || !step) return;
  const errno = getSystemErrorName(-failed.errno);
  if (step.call === 'execve')
    throw new Stage1Error('app-setup', `cannot execute "${argv[0]}" in app "${app}": ${errno}`);
  const what = step.subject ? `${step.call} of ${step.subject}` : step.call;
  throw new Stage1Error('app-setup', `cannot enter app "${app}": ${what}: ${errno}`);
}
