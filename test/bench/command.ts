import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Runs a command to its end and returns what it printed; throws, with its stderr, when it fails.
 * Its streams are files: what it leaves behind in the background is not waited for.
 */
export function run(argv: readonly string[]): string {
  const [file = '', ...args] = argv;
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  const streams = ['out', 'err'].map((name) => openSync(join(folder, name), 'a+'));
  try {
    const result = spawnSync(file, args, { stdio: ['ignore', ...streams] });
    const [out = '', err = ''] = ['out', 'err'].map((name) =>
      readFileSync(join(folder, name), 'utf8'),
    );
    if (result.status === 0) return out;
    const reason = result.error?.message ?? err.trim().split('\n').at(-1);
    throw new Error(`${argv.join(' ').slice(0, 200)}: ${reason || `status ${result.status}`}`);
  } finally {
    for (const stream of streams) closeSync(stream);
    rmSync(folder, { recursive: true });
  }
}

/** One word of a POSIX shell's command line. */
export function quote(word: string): string {
  return /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

export function quoteAll(argv: readonly string[]): string {
  return argv.map(quote).join(' ');
}

/** Waits until `look` finds something; at most half a minute. */
export async function until<T>(what: string, look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not happen within half a minute`);
}
