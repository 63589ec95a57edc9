import { spawnSync } from 'node:child_process';
import { CliError } from './error.ts';

/**
 * Hands what is typed on as it is, and prints as it is what comes, until the function that it gives
 * is called. Node's own raw mode still turns each newline of the output into two characters.
 */
export function makeTerminalRaw(): () => void {
  const before = stty('-g').trim();
  stty('raw', '-echo');
  return () => {
    stty(before);
  };
}

function stty(...args: string[]): string {
  const { status, stdout, error } = spawnSync('stty', args, {
    stdio: ['inherit', 'pipe', 'ignore'],
    encoding: 'utf8',
  });
  if (status !== 0)
    throw new CliError('output', 'cannot set the terminal: stty (coreutils) failed', error);
  return stdout;
}
