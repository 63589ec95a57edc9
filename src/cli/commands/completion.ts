import { completionScript, shells } from '../completion.ts';
import type { Context } from '../context.ts';
import { usageError } from '../error.ts';

/** Prints the completion script of a shell. */
export async function run({ args, stdout }: Context): Promise<number> {
  const shell = shells.find((name) => name === args[0]);
  if (!shell) throw usageError(`no completion for "${args[0]}", only for ${shells.join(', ')}`);
  stdout.write(completionScript(shell));
  return 0;
}
