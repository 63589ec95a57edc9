import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipe } from '../os/syscalls.ts';
import { collectLines, exitOf } from './decompress.ts';
import { ImageError } from './error.ts';
import { withMerged } from './merge.ts';

/**
 * Copies those paths of an image's layers, and nothing below them, into an empty folder.
 *
 * @param paths relative to the root, in latin1, folders before what is in them
 * @throws ImageError `io`
 */
export async function copyPaths(
  layers: readonly string[],
  paths: readonly string[],
  target: string,
  scratch: string,
): Promise<void> {
  mkdirSync(target, { recursive: true, mode: 0o755 });
  const list = join(scratch, 'paths');
  writeFileSync(list, paths.map((path) => `./${path}\0`).join(''), 'latin1');
  const [output, input] = pipe();
  const exact = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];
  const names = ['--no-recursion', '--null', `--files-from=${list}`];
  const restore = ['--same-owner', '--preserve-permissions', '--delay-directory-restore'];
  const environment = { PATH: process.env['PATH'], LC_ALL: 'C' };
  let children: ChildProcess[];
  try {
    children = withMerged(layers, scratch, (root) => [
      spawn(
        'tar',
        ['--create', '--file=-', '--format=posix', '--sparse', ...exact, '-C', root, ...names],
        { stdio: ['ignore', input, 'pipe'], env: environment },
      ),
      spawn('tar', ['--extract', '--file=-', ...exact, ...restore, '-C', target], {
        stdio: [output, 'ignore', 'pipe'],
        env: environment,
      }),
    ]);
  } finally {
    for (const fd of [output, input]) closeSync(fd);
  }
  await Promise.all(children.map((child) => succeeded(child, target)));
}

async function succeeded(child: ChildProcess, target: string): Promise<void> {
  const said = collectLines(child);
  const failed = (why: string, cause?: unknown) =>
    new ImageError('io', `cannot copy the image's files to ${target}: ${why}`, cause);
  const status = await exitOf(child).catch((error: unknown) => {
    throw failed('it needs GNU tar', error);
  });
  if (status !== 0) throw failed(said()[0] ?? `status ${status}`);
}
