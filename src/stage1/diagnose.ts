import { posix } from 'node:path';
import { leadsInto, readHeadInRoot, statInRoot } from '../os/inroot.ts';

/**
 * Why the kernel will not execute a file of an app's root, or undefined when nothing speaks against
 * it: execve(2) has one errno for a missing file, a missing interpreter and a missing loader.
 *
 * @param elsewhere absolute paths in the root whose content comes from somewhere else, and is not known
 */
export function executionProblem(
  root: string,
  file: string,
  elsewhere: readonly string[],
): string | undefined {
  const problem = problemOf(root, file, elsewhere);
  return problem !== undefined && leadsInto(root, file, elsewhere) ? undefined : problem;
}

function problemOf(root: string, file: string, elsewhere: readonly string[]): string | undefined {
  const stats = statInRoot(root, file);
  if (!stats) return `${file} does not exist in its image`;
  if (!stats.isFile()) return `${file} is not a file`;
  if ((stats.mode & 0o111) === 0) return `${file} is not executable`;
  const needed = interpreter(readHeadInRoot(root, file, HEAD));
  if (!needed || statInRoot(root, needed.path) || leadsInto(root, needed.path, elsewhere))
    return undefined;
  return `${file} needs the ${needed.what} ${needed.path}, which does not exist in its image`;
}

/** Enough for a script's first line and for where a program's loader is named: elf(5). */
const HEAD = 4096;
const PT_INTERP = 3;

function interpreter(head: Buffer): { what: string; path: string } | undefined {
  if (head.subarray(0, 2).toString('latin1') === '#!') {
    const line = head.subarray(2).toString('utf8').split('\n', 1)[0] ?? '';
    const path = line.trim().split(/[ \t]/)[0] ?? '';
    return posix.isAbsolute(path) ? { what: 'interpreter', path } : undefined;
  }
  const isElf64 = head.length >= 64 && head.readUInt32BE(0) === 0x7f454c46 && head[4] === 2;
  if (!isElf64 || head[5] !== 1) return undefined;
  const start = Number(head.readBigUInt64LE(32));
  for (let at = start, n = head.readUInt16LE(56); n > 0 && at + 56 <= head.length; n--, at += 56) {
    if (head.readUInt32LE(at) !== PT_INTERP) continue;
    const offset = Number(head.readBigUInt64LE(at + 8));
    const text = head.subarray(offset).toString('utf8').split('\0', 1)[0];
    return text ? { what: 'loader', path: text } : undefined;
  }
  return undefined;
}
