import type { Local } from '../../lib/local.ts';
import type { Result } from '../../lib/running.ts';

/** Runs a program on a real terminal (util-linux script) that gets these lines as if they were typed. */
export function onTerminal(
  local: Local,
  command: readonly string[],
  typed: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Result> {
  const line = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const args = ['--quiet', '--return', '--command', line, '/dev/null'];
  return local.startProgram('script', args, { input: typed, env }).done;
}
