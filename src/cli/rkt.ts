import { type Config, readConfig } from '../config/index.ts';
import { errnoOf } from '../os/error.ts';
import type { CommandSpec } from './command.ts';
import type { Context } from './context.ts';
import { CliError, EXIT_FAILURE } from './error.ts';
import { globalFlags } from './flag-sets.ts';
import { Flags } from './flags.ts';
import { configRoots, insecureWarning, resolveGlobals } from './globals.ts';
import { isForHelper } from './helper-commands.ts';
import { type Parsed, parseCommand, type Selected, selectCommand } from './parse.ts';
import { errorText, oneLine } from './report.ts';
import { commands } from './table.ts';
import type { Writer } from './writer.ts';

/**
 * Runs one command line, as `rkt ARGV...` does.
 *
 * @returns the exit code; a command that becomes another program never returns
 */
export async function rkt(
  argv: readonly string[],
  stdout: Writer,
  stderr: Writer,
): Promise<number> {
  const globals = new Flags(globalFlags);
  let selected: Selected | undefined;
  let mayAsk = false;
  try {
    selected = selectCommand(argv, commands, globals);
    const { command, rest } = selected;
    if (!command) return await helpInstead(selected, stdout, stderr);
    const parsed = parseCommand(command, rest, globals);
    if (parsed.help) return await helpOn(command, stdout);
    if (isForHelper(command) && process.geteuid?.() !== 0) {
      const { throughHelper } = await import('./through-helper.ts');
      const code = await throughHelper(command, argv, stdout, stderr);
      if (code !== undefined) return code;
      mayAsk = true;
    }
    if (command.rootOnly && process.geteuid?.() !== 0)
      throw new CliError('unprivileged', 'cannot run as unprivileged user');
    return await profiled(globals, () => execute(command, parsed, globals, stdout, stderr));
  } catch (error) {
    const todo = whatToBe(error, mayAsk);
    stderr.write(errorText(prefix(selected?.command), error, globals.bool('debug'), todo));
    if (!(error instanceof CliError)) return EXIT_FAILURE;
    if (error.code === 'usage' && selected?.command)
      stderr.write(`usage: rkt ${selected.command.path} ${selected.command.usage}\n`);
    return error.exitCode;
  }
}

/** Who could do what was denied; undefined for errors of another kind. */
function whatToBe(error: unknown, mayAsk: boolean): string | undefined {
  const denied = denialIn(error);
  if (denied === undefined || process.geteuid?.() === 0) return undefined;
  if (mayAsk) return 'be root, or a member of group rkt with rkt-helper.socket running';
  return denied === 'denied' ? 'it needs root' : undefined;
}

/** The code that says that the user may not. A file that the command line names is another matter. */
function denialIn(error: unknown): string | undefined {
  if (error instanceof CliError) return error.code === 'unprivileged' ? error.code : undefined;
  const code = errnoOf(error) ?? '';
  if (['denied', 'EACCES', 'EPERM'].includes(code)) return code;
  return error instanceof Error ? denialIn(error.cause) : undefined;
}

async function execute(
  command: CommandSpec,
  parsed: Parsed,
  flags: Flags,
  stdout: Writer,
  stderr: Writer,
): Promise<number> {
  const config = command.standalone ? emptyConfig : await readConfig(configRoots(flags));
  const globals = resolveGlobals(flags, config);
  const context: Context = {
    command,
    args: parsed.args,
    images: parsed.images,
    flags: parsed.flags,
    globals,
    config,
    configured: async () => resolveGlobals(flags, await readConfig(configRoots(flags))),
    stdout,
    stderr,
    note: (message) => stderr.write(`${prefix(command)}${oneLine(message)}\n`),
    report: (error) => stderr.write(errorText(prefix(command), error, globals.debug)),
  };
  const warning = insecureWarning(globals.insecure);
  if (warning !== undefined) context.note(warning);
  const { run } = await command.load();
  return run(context);
}

const emptyConfig: Config = { auth: new Map(), dockerAuth: new Map(), paths: {}, stage1: {} };

function prefix(command: CommandSpec | undefined): string {
  return command ? `rkt: ${command.path}: ` : 'rkt: ';
}

async function helpOn(command: CommandSpec, stdout: Writer): Promise<number> {
  const { commandHelp } = await import('./help-text.ts');
  stdout.write(commandHelp(command));
  return 0;
}

/** No command was named: what was asked for, or what could have been. */
async function helpInstead(selected: Selected, stdout: Writer, stderr: Writer): Promise<number> {
  const { groupHelp, overview } = await import('./help-text.ts');
  const text = selected.group === '' ? overview() : groupHelp(selected.group);
  if (selected.help) {
    stdout.write(text);
    return 0;
  }
  const words = selected.group === '' ? '' : `${selected.group}: `;
  stderr.write(`rkt: ${words}missing command\n\n${text}`);
  return 2;
}

async function profiled(globals: Flags, work: () => Promise<number>): Promise<number> {
  const cpuFile = globals.value('cpuprofile');
  const heapFile = globals.value('memprofile');
  if (cpuFile === undefined && heapFile === undefined) return work();
  const { startProfiles } = await import('./profile.ts');
  const finish = startProfiles(cpuFile, heapFile);
  try {
    return await work();
  } finally {
    finish();
  }
}
