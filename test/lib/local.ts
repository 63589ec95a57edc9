import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { type Result, Running } from './running.ts';

/** The program under test. */
export const program = fileURLToPath(new URL('../../dist/rkt', import.meta.url));

export interface LocalOptions {
  input?: string | Uint8Array;
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** Leaves the command's input open, for `write`. */
  keepInput?: boolean;
  /** Milliseconds until the command is killed and the call fails; two minutes when absent. */
  timeout?: number;
}

/** rkt on this machine itself, with a store and pods of its own in a temporary folder. */
export class Local {
  /** A scratch folder; everything that the tests make belongs below it. */
  readonly scratch: string = mkdtempSync(join(tmpdir(), 'rkt-local-'));
  /** What `--dir` is given. */
  readonly dir: string = join(this.scratch, 'rkt');

  /** Starts `rkt --dir=… ARGS`. */
  start(args: readonly string[], options: LocalOptions = {}): Running {
    return this.startProgram(program, [`--dir=${this.dir}`, ...args], options);
  }

  /** Runs `rkt --dir=… ARGS` until its end. */
  rkt(args: readonly string[], options: LocalOptions = {}): Promise<Result> {
    return this.start(args, options).done;
  }

  /** Starts any program, in a session of its own. */
  startProgram(file: string, args: readonly string[], options: LocalOptions = {}): Running {
    const child = spawn(file, args, {
      cwd: options.cwd ?? this.scratch,
      env: { ...process.env, ...options.env },
      detached: true,
    });
    const running = new Running(
      [file, ...args].join(' '),
      child,
      options.timeout ?? 120_000,
      async (signal) => void child.kill(signal as NodeJS.Signals),
    );
    if (!options.keepInput) running.end(options.input);
    return running;
  }

  /** Ends every process and mount that has to do with the scratch folder, and removes it. */
  async clear(): Promise<void> {
    for (let tries = 0; tries < 200 && endProcesses(this.scratch); tries++) await delay(20);
    // Pods have cgroups outside their folders.
    if (existsSync(this.dir)) await this.rkt(['gc', '--grace-period=0s', '--expire-prepared=0s']);
    for (const mount of mountsBelow(this.scratch).reverse())
      await new Promise((resolve) => {
        spawn('umount', ['--lazy', '--no-canonicalize', mount], { stdio: 'inherit' }).on(
          'close',
          resolve,
        );
      });
    rmSync(this.scratch, { recursive: true, force: true });
  }
}

/** rkt on this machine, cleared away after the file's (or describe's) last test. */
export function startLocal(): Local {
  const local = new Local();
  afterAll(() => local.clear());
  return local;
}

/** The mount points below a folder, in the order in which they were mounted. */
export function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => unescapeMount(line.split(' ')[4] ?? ''))
    .filter((path) => path === folder || path.startsWith(`${folder}/`));
}

function unescapeMount(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/**
 * Kills the processes that have to do with the folder: name it in their arguments or environment,
 * work in it, or have mounts of their own below it. True when there were any.
 */
function endProcesses(folder: string): boolean {
  const own = readFileSync('/proc/self/mountinfo', 'latin1');
  const involved = readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    const read = (name: string): string =>
      orNothing(() => readFileSync(`/proc/${pid}/${name}`, 'latin1'));
    const link = (name: string): string => orNothing(() => readlinkSync(`/proc/${pid}/${name}`));
    if (`${read('cmdline')}${read('environ')}${link('cwd')}${link('root')}`.includes(folder))
      return true;
    const mounts = read('mountinfo');
    return mounts !== own && mounts.includes(` ${folder}/`);
  });
  for (const pid of involved)
    orNothing(() => {
      process.kill(Number(pid), 'SIGKILL');
      return '';
    });
  return involved.length > 0;
}

/** What a process tells of itself; nothing when it has ended in the meantime. */
function orNothing(look: () => string): string {
  try {
    return look();
  } catch {
    return '';
  }
}
