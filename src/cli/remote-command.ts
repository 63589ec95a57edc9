import { ServiceError } from '../service/error.ts';
import { checkRemote } from '../service/manager.ts';
import type { RemoteCommand } from '../service/varlink-command.ts';
import type { CommandSpec } from './command.ts';
import { globalFlags } from './flag-sets.ts';
import { Flags } from './flags.ts';
import { helperRules } from './helper-commands.ts';
import { type Parsed, parseCommand, selectCommand } from './parse.ts';
import { rkt } from './rkt.ts';
import { commands } from './table.ts';

/** What the helper does with a command line of somebody else. Throws for one that it does not run. */
export function remoteCommand(argv: readonly string[]): RemoteCommand {
  const globals = new Flags(globalFlags);
  const { command, rest } = selectCommand(argv, commands, globals);
  const rule = command && helperRules.get(command.path);
  if (!rule) throw refused(`rkt ${command?.path ?? ''}`);
  const parsed = parseCommand(command, rest, globals);
  if (parsed.help) throw refused('help');
  for (const { name } of globalFlags)
    if (globals.given(name) && !(rule.kind === 'fetch' && name === 'insecure-options'))
      throw refused(`--${name}`);
  for (const name of givenFlags(command, parsed))
    if (!rule.flags.includes(name)) throw refused(`--${name}`);
  for (const { reference } of parsed.images) checkRemote(reference);
  // What nobody vouches for could then be run by its name.
  const isInsecure = globals.given('insecure-options');
  return {
    action: isInsecure ? 'io.rkt.Rkt1.manage-trust' : rule.action,
    group: rule.group && !isInsecure,
    type: rule.kind === 'query' ? 'command' : rule.kind,
    query:
      rule.kind === 'query'
        ? ({ stdout, stderr }) => rkt(argv, writer(stdout), writer(stderr))
        : undefined,
  };
}

function givenFlags(command: CommandSpec, { flags, images }: Parsed): string[] {
  const given = (set: Flags) =>
    command.flags.map(({ name }) => name).filter((name) => set.find(name) && set.given(name));
  return [...given(flags), ...images.flatMap((image) => given(image.flags))];
}

function writer(take: (text: string) => void) {
  return {
    terminal: false,
    write: (text: string | Uint8Array) =>
      take(typeof text === 'string' ? text : Buffer.from(text).toString()),
  };
}

function refused(what: string): ServiceError {
  return new ServiceError('InvalidArgument', `${what} needs root: the helper does not take it`);
}
