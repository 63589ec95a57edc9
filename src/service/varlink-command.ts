import type { Configured } from './configured.ts';
import { ServiceError } from './error.ts';
import type { Job } from './jobs.ts';
import type { Caller } from './objects.ts';
import type { VarlinkReply } from './varlink-protocol.ts';

/** A command line that somebody who is not root wants to be run. */
export interface RemoteCommand {
  /** The polkit action that it takes, unless they are of group rkt and that will do. */
  readonly action: string;
  readonly group: boolean;
  /** Runs at once, in the helper; undefined: in a worker. */
  readonly query: ((output: CommandOutput) => Promise<number>) | undefined;
  readonly type: 'fetch' | 'gc' | 'command';
}

/** Takes what a command prints. */
export interface CommandOutput {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** Tells what a command line asks for. Throws for one that nobody may have run for them. */
export type Commands = (argv: readonly string[]) => RemoteCommand;

/** What it takes to run command lines. */
export interface CommandRunner {
  readonly configured: Configured;
  readonly commands: Commands;
}

/**
 * Runs a command line, and gives what it prints and its exit status: all in one answer, or with `more`
 * as it goes on. It is canceled when the caller has `gone`.
 */
export async function* runCommand(
  argv: readonly string[],
  more: boolean,
  caller: Caller,
  { configured, commands }: CommandRunner,
  gone: AbortSignal,
): AsyncGenerator<VarlinkReply> {
  const { action, group, query, type } = commands(argv);
  await caller.authorize(action, group);
  const { jobs } = (await configured.open()).backend;
  if (query) {
    let [stdout, stderr] = ['', ''];
    const status = await query({
      stdout: (text) => {
        stdout += text;
      },
      stderr: (text) => {
        stderr += text;
      },
    });
    yield { parameters: { stdout, stderr, status } };
    return;
  }
  const subject = `rkt ${argv.join(' ')}`;
  const job = await jobs.start({ type, subject }, () => argv);
  // A command line ends with the one who typed it.
  const cancel = () => void jobs.cancel(job).catch(() => {});
  if (gone.aborted) cancel();
  gone.addEventListener('abort', cancel, { once: true });
  if (more) yield* jobOutput(job);
  const { status, stdout, message } = await job.done();
  if (status === undefined) throw new ServiceError('Failed', message);
  yield { parameters: more ? { status } : { stdout, stderr: job.printed.stderr, status } };
}

/** What a job prints, as it does. */
async function* jobOutput(job: Job): AsyncGenerator<VarlinkReply> {
  const printed: VarlinkReply[] = [];
  let wake = () => {};
  const add = (name: 'stdout' | 'stderr') => (text: string) => {
    printed.push({ parameters: { [name]: text }, continues: true });
    wake();
  };
  const ended = job.done().then(() => wake());
  // What it has printed already was before anybody could listen.
  for (const name of ['stdout', 'stderr'] as const) {
    if (job.printed[name] !== '') add(name)(job.printed[name]);
    job.on(name, add(name));
  }
  for (;;) {
    yield* printed.splice(0);
    if (job.end) break;
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (job.end || printed.length > 0) resolve();
    });
  }
  await ended;
  yield* printed.splice(0);
}
