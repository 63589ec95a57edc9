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
  const list = writeList(join(scratch, 'paths'), paths);
  await copyByTar(target, (start) =>
    withMerged(layers, scratch, (root) => start(membersOf(root, list))),
  );
}

/**
 * Copies folders without their content out of several trees into an empty folder; not what overlayfs
 * notes of them.
 *
 * @param sources for the root of each tree paths relative to it, in latin1, the root as empty path
 * @throws ImageError `io`
 */
export async function copyFolders(
  sources: ReadonlyMap<string, readonly string[]>,
  target: string,
  scratch: string,
): Promise<void> {
  const members = [...sources].flatMap(([root, paths], n) =>
    membersOf(root, writeList(join(scratch, `paths-${n}`), paths)),
  );
  await copyByTar(target, (start) => start(['--xattrs-exclude=trusted.overlay.*', ...members]));
}

function writeList(file: string, paths: readonly string[]): string {
  writeFileSync(file, paths.map((path) => `./${path}\0`).join(''), 'latin1');
  return file;
}

function membersOf(root: string, list: string): string[] {
  return ['-C', root, '--null', `--files-from=${list}`];
}

/** @param create must start one tar with the arguments for what it packs */
async function copyByTar(
  target: string,
  create: (start: (members: readonly string[]) => ChildProcess) => ChildProcess,
): Promise<void> {
  mkdirSync(target, { recursive: true, mode: 0o755 });
  const [output, input] = pipe();
  const exact = ['--xattrs', '--xattrs-include=*', '--numeric-owner'];
  const pack = ['--create', '--file=-', '--format=posix', '--sparse', '--no-recursion', ...exact];
  const restore = ['--same-owner', '--preserve-permissions', '--delay-directory-restore'];
  const environment = { PATH: process.env['PATH'], LC_ALL: 'C' };
  const children: ChildProcess[] = [];
  try {
    children.push(
      create((members) =>
        spawn('tar', [...pack, ...members], {
          stdio: ['ignore', input, 'pipe'],
          env: environment,
        }),
      ),
      spawn('tar', ['--extract', '--file=-', ...exact, ...restore, '-C', target], {
        stdio: [output, 'ignore', 'pipe'],
        env: environment,
      }),
    );
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
