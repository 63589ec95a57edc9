import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, type TestContext } from 'vitest';
import { type Result, Running } from './running.ts';

export type Kind = 'container' | 'vm';

/** The kind of host that this run of the tests uses. */
export const hostKind: Kind = process.env['RKT_TEST_HOST'] === 'vm' ? 'vm' : 'container';

/** The Debian suite of the hosts of this run. */
export const hostSuite: string = process.env['RKT_TEST_SUITE'] ?? 'bookworm';

/** What not every host has. */
const features = {
  cgroup2: 'cgroup version 2 with all controllers',
  freeze: 'systemctl freeze',
  'cpu-accounting': 'CPUUsageNSec of a unit',
  'nested-limits': "limits on units of a pod's own systemd",
  'user-limits': "limits on units of a user's systemd",
  ipvlan: 'ipvlan and dummy links',
  'resource-capability': 'CAP_SYS_RESOURCE',
} as const;
export type Feature = keyof typeof features;

/**
 * Skips the test, with a reason that test/run knows, where the host lacks a feature. In a describe
 * block: `beforeEach((context) => needs(context, 'freeze'))`. A file that calls it says `@vm` in a
 * comment, which puts it into the set that runs on the VM.
 */
export function needs(context: TestContext, ...wanted: Feature[]): void {
  if (hostKind === 'vm' || wanted.length === 0) return;
  skip(context, `needs the VM host: ${wanted.map((feature) => features[feature]).join(', ')}`);
}

/** Skips the test with a reason; it has to be on the list test/allowed-skips.txt. */
export function skip(context: TestContext, reason: string): never {
  Object.assign(context.task.meta, { skipped: reason });
  return context.skip(reason);
}

export interface RunOptions {
  /** Written to the command's input, which is then closed. */
  input?: string | Uint8Array;
  env?: Readonly<Record<string, string>>;
  /** User name in the host; root when absent. */
  user?: string;
  /** Milliseconds until the command is killed and the call fails; two minutes when absent. */
  timeout?: number;
  /** Gives the command a terminal; its streams then are one, `stdout`. */
  tty?: boolean;
  /** Properties of the transient unit, as in `systemd-run -p`. */
  properties?: readonly string[];
}

const scale = hostKind === 'vm' ? 5 : 1;

/** A throw-away machine with its own systemd, as root's. */
export class Host {
  readonly name: string;
  readonly kind: Kind;
  readonly #script: string;
  readonly #running = new Set<Running>();

  private constructor(name: string, kind: Kind) {
    this.name = name;
    this.kind = kind;
    this.#script = fileURLToPath(new URL(`../hosts/${kind}`, import.meta.url));
  }

  static async boot(kind: Kind, suite: string): Promise<Host> {
    const host = new Host(`t${process.pid}-${randomBytes(3).toString('hex')}`, kind);
    await host.#call(['up', host.name, suite], 600_000);
    return host;
  }

  /** Starts a command as the main process of a transient service. */
  start(argv: readonly string[], options: RunOptions = {}): Running {
    const unit = `test-${randomBytes(6).toString('hex')}.service`;
    const flags = ['--unit', unit];
    if (options.user) flags.push('--user', options.user);
    if (options.tty) flags.push('--tty');
    for (const [name, value] of Object.entries(options.env ?? {}))
      flags.push('-E', `${name}=${value}`);
    for (const property of options.properties ?? []) flags.push('-p', property);
    const child = this.#spawn(['run', this.name, ...flags, '--', ...argv]);
    return this.#watch(argv, child, options, async (signal) => {
      const how = ['systemctl', 'kill', '--kill-whom=main', `--signal=${signal}`, unit];
      await this.#call(['exec', this.name, ...how], 60_000);
    });
  }

  /** Runs a command as the main process of a transient service, until its end. */
  run(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
    return this.start(argv, options).done;
  }

  /** As `run`; a failure rejects with what the command printed. Gives its output, trimmed. */
  async ok(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options);
    if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout.trimEnd();
  }

  /** Runs a command beside systemd's units, in no unit: quicker, and for looking from outside. */
  exec(
    argv: readonly string[],
    options: Pick<RunOptions, 'input' | 'timeout'> = {},
  ): Promise<Result> {
    const child = this.#spawn(['exec', this.name, ...argv]);
    return this.#watch(argv, child, options, async () => void child.kill('SIGKILL')).done;
  }

  /** The bytes of a file in the host. */
  async readFile(path: string): Promise<Buffer> {
    const { code, stdoutBytes, stderr } = await this.exec(['cat', '--', path]);
    if (code !== 0) throw new Error(`could not read ${path} in the host: ${stderr}`);
    return stdoutBytes;
  }

  /** Writes a file in the host, with the folders above it. */
  async writeFile(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
    const script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"';
    const argv = ['sh', '-c', script, 'sh', path, mode.toString(8)];
    const { code, stderr } = await this.exec(argv, { input: data });
    if (code !== 0) throw new Error(`could not write ${path} in the host: ${stderr}`);
  }

  /** Stops the host at once and removes everything of it. */
  async stop(): Promise<void> {
    await this.#call(['down', this.name], 60_000);
    await Promise.allSettled([...this.#running].map((running) => running.done));
  }

  #spawn(args: readonly string[]): ChildProcessWithoutNullStreams {
    return spawn(this.#script, args, { env: { ...process.env, HOST_OWNER: String(process.pid) } });
  }

  #watch(
    argv: readonly string[],
    child: ChildProcessWithoutNullStreams,
    options: RunOptions,
    kill: (signal: string) => Promise<void>,
  ): Running {
    const timeout = options.timeout ?? 120_000 * scale;
    const running = new Running(argv.join(' '), child, timeout, kill);
    if (options.input !== undefined) running.end(options.input);
    else if (!options.tty) running.end();
    this.#running.add(running);
    running.done.finally(() => this.#running.delete(running)).catch(() => {});
    return running;
  }

  async #call(args: readonly string[], timeout: number): Promise<void> {
    const child = this.#spawn(args);
    const running = new Running(args.join(' '), child, timeout, async () => void child.kill());
    running.end();
    const { code, stdout, stderr } = await running.done;
    if (code !== 0)
      throw new Error(`${args.join(' ')} of the ${this.kind} host: ${stderr}${stdout}`);
  }
}

/** Boots a host of this run's kind; it is taken away after the file's (or describe's) last test. */
export async function startHost(options: { kind?: Kind; suite?: string } = {}): Promise<Host> {
  const host = await Host.boot(options.kind ?? hostKind, options.suite ?? hostSuite);
  afterAll(() => host.stop());
  return host;
}
