import { readFileSync } from 'node:fs';
import type { Context } from './context.ts';
import { CliError, usageError } from './error.ts';

/**
 * The pods that a command line names, as typed: its operands, or what stands in `--uuid-file`. There
 * is at least one.
 *
 * @param unreadableExit the exit code when the file can't be read, where rkt's is not 254
 */
export function podOperands({ args, flags }: Context, unreadableExit?: number): readonly string[] {
  const file = flags.value('uuid-file');
  if (args.length > 0 === (file !== undefined))
    throw usageError('name pods by UUID or by --uuid-file, one of the two');
  if (file === undefined) return args;
  try {
    return [readFileSync(file, 'utf8').trim()];
  } catch (error) {
    throw new CliError('input', `cannot read UUID file ${file}`, error, unreadableExit);
  }
}
