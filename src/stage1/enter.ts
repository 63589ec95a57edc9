import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { Duplex } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { callProgram, failedStep, REPORT_FD, REPORT_SIZE, type Step } from '../os/call-program.ts';
import { errnoOf } from '../os/error.ts';
import { readIfExists } from '../os/files.ts';
import { sealedProgram } from '../os/syscalls.ts';
import {
  confinementOf,
  type EnterCommand,
  hostUid,
  labelOf,
  openTarget,
  processOf,
  takeOver,
} from './enter-plan.ts';
import { readEnterRecord } from './enter-record.ts';
import { CGROUP_WANTED, enterSteps } from './enter-steps.ts';
import { enterStreams } from './enter-streams.ts';
import { cgroupFiles, differingLimits, findApp, holdProcess } from './enter-target.ts';
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
 * (see `callProgram` and `enterSteps`); this process stays outside and copies the streams.
 */
export async function enterApp(where: EnterApp, command: EnterCommand): Promise<number> {
  try {
    return await enterRunning(where, command);
  } catch (error) {
    // What the kernel tells of a process goes with it.
    if (!['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) throw error;
    throw new Stage1Error('not-started', `app "${where.app}" has ended`, error);
  }
}

async function enterRunning(where: EnterApp, command: EnterCommand): Promise<number> {
  const { podFolder, pid, app } = where;
  const record = readEnterRecord(podFolder, app);
  if (!record)
    throw new Stage1Error(
      'unsupported',
      `cannot enter app "${app}": the pod was started by another version of rkt`,
    );
  const pod = holdProcess(pid);
  const target = record.root === undefined ? findApp(podFolder, pod, app) : { pod, main: pod };
  takeOver(target);
  const own = processOf(record, command);
  const streams = enterStreams(target, hostUid(target, own.uid));
  const opened = openTarget(target, REPORT_FD + 1);
  const steps = enterSteps({
    ...own,
    ...confinementOf(target, record, app),
    ...opened.plan,
    root: record.root,
    label: labelOf(target),
    limits: differingLimits(target.main),
    terminal: streams.terminal,
  });
  const program = sealedProgram(callProgram(steps));
  const child = spawn(`/proc/${process.pid}/fd/${program}`, [], {
    stdio: [...streams.fds, 'pipe', ...opened.fds],
    cwd: '/',
    env: {},
  });
  const ended = supervise(child, cgroupFiles(target.main));
  for (const fd of [program, ...opened.fds]) closeSync(fd);
  streams.connect();
  passSignals(child);
  const { code, report } = await ended;
  await streams.finish();
  const failure = failedStep(report);
  const step = failure && steps[failure.index];
  if (failure && step) throw stepError(step, failure.errno, app, command);
  return code;
}

/** Puts the process that forks off into the cgroups when it asks for it; gives what came of it all. */
function supervise(
  child: ChildProcess,
  cgroups: readonly string[],
): Promise<{ code: number; report: Buffer }> {
  const channel = child.stdio[REPORT_FD];
  return new Promise((resolve, reject) => {
    let heard = Buffer.alloc(0);
    if (!(channel instanceof Duplex)) throw new Error('no channel to the process in the app');
    channel.on('error', () => {});
    channel.on('data', (bytes: Buffer) => {
      const isFirst = heard.length === 0;
      heard = Buffer.concat([heard, bytes]);
      if (!isFirst || heard.toString('latin1', 0, 1) !== CGROUP_WANTED) return;
      try {
        for (const file of cgroups) writeFileSync(file, String(innerPid(child)));
        channel.write('.');
      } catch (error) {
        child.kill('SIGKILL');
        reject(error);
      }
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const report = heard.subarray(heard.length % REPORT_SIZE);
      resolve({ code: code ?? 128 + (signal ? constants.signals[signal] : 0), report });
    });
  });
}

/** What ends this process is meant for the command. */
function passSignals(child: ChildProcess): void {
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const)
    process.on(signal, () => {
      const inner = innerPid(child);
      if (inner) process.kill(inner, signal);
      else child.kill(signal);
    });
}

/** The process in the app is a child of our child; 0 when there is none. */
function innerPid({ pid }: ChildProcess): number {
  return Number(readIfExists(`/proc/${pid}/task/${pid}/children`)?.split(' ')[0] ?? 0);
}

function stepError(step: Step, errno: number, app: string, { argv }: EnterCommand): Stage1Error {
  const name = getSystemErrorName(-errno);
  if (step.call === 'execve')
    return new Stage1Error('app-setup', `cannot execute "${argv[0]}" in app "${app}": ${name}`);
  const what = step.subject ? `${step.call} of ${step.subject}` : step.call;
  return new Stage1Error('app-setup', `cannot enter app "${app}": ${what}: ${name}`);
}
