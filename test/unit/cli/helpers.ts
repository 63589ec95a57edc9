import type { CommandSpec } from '../../../src/cli/command.ts';
import type { Context } from '../../../src/cli/context.ts';
import { globalFlags } from '../../../src/cli/flag-sets.ts';
import { Flags } from '../../../src/cli/flags.ts';
import { parseCommand } from '../../../src/cli/parse.ts';
import { rkt } from '../../../src/cli/rkt.ts';
import { commands } from '../../../src/cli/table.ts';
import type { Writer } from '../../../src/cli/writer.ts';

/** A writer that keeps what it gets. */
export interface Capture extends Writer {
  readonly text: string;
}

export function capture(): Capture {
  let text = '';
  return {
    terminal: false,
    write: (more) => {
      text += more;
    },
    get text() {
      return text;
    },
  };
}

export function command(path: string): CommandSpec {
  const found = commands.find((one) => one.path === path);
  if (!found) throw new Error(`no command ${path}`);
  return found;
}

/** The context that a command line gives, with output captured. */
export function contextOf(path: string, argv: readonly string[]): Context {
  const globals = new Flags(globalFlags);
  const { args, images, flags } = parseCommand(command(path), argv, globals);
  return {
    command: command(path),
    args,
    images,
    flags,
    globals: {
      debug: false,
      dataDir: '/nonexistent',
      systemConfig: '/nonexistent',
      localConfig: '/nonexistent',
      userConfig: undefined,
      insecure: new Set(),
      trustKeysFromHttps: false,
    },
    config: { auth: new Map(), dockerAuth: new Map(), paths: {}, stage1: {} },
    configured: () => Promise.reject(new Error('there is no configuration')),
    stdout: capture(),
    stderr: capture(),
    note: () => {},
    report: () => {},
  };
}

/** Runs a command line to its end. */
export async function runLine(...argv: string[]) {
  const [stdout, stderr] = [capture(), capture()];
  const code = await rkt(argv, stdout, stderr);
  return { code, stdout: stdout.text, stderr: stderr.text };
}
