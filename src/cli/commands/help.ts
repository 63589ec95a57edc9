import type { Context } from '../context.ts';
import { globalFlags } from '../flag-sets.ts';
import { Flags } from '../flags.ts';
import { commandHelp, groupHelp, overview } from '../help-text.ts';
import { selectCommand } from '../parse.ts';
import { commands } from '../table.ts';

/** Prints the help of rkt, of a group of commands, or of a command. */
export async function run({ args, stdout }: Context): Promise<number> {
  const { command, group } = selectCommand(args, commands, new Flags(globalFlags));
  if (command) stdout.write(commandHelp(command));
  else stdout.write(group === '' ? overview() : groupHelp(group));
  return 0;
}
