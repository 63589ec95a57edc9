import { spawnSync } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ImageError } from './error.ts';
import { startTar, type TarStream } from './pack.ts';

/**
 * Starts GNU tar on the merged view of layers, as `startTar`. Overlayfs filters whiteouts only from
 * folders that several layers have; elsewhere it lists names that are not there, which are left out.
 *
 * @param layers absolute paths of the trees that `view` is made of
 */
export function startViewTar(layers: readonly string[], view: string, root: string): TarStream {
  const phantoms = layers
    .flatMap((layer) => whiteoutsIn(layer))
    .filter((path) => isPhantom(join(view, path)));
  return startTar(view, root, [...new Set(phantoms)]);
}

/** Paths of the character devices 0:0 in a tree, relative to it. */
function whiteoutsIn(layer: string): string[] {
  const { status, stdout, stderr } = spawnSync('find', [layer, '-type', 'c', '-printf', '%P\\0'], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  });
  if (status !== 0)
    throw new ImageError('io', `cannot read the tree ${layer}: ${stderr?.trim().split('\n')[0]}`);
  return stdout
    .split('\0')
    .filter((path) => lstatSync(join(layer, path), { throwIfNoEntry: false })?.rdev === 0);
}

function isPhantom(path: string): boolean {
  if (lstatSync(path, { throwIfNoEntry: false })) return false;
  const folder = dirname(path);
  if (!lstatSync(folder, { throwIfNoEntry: false })?.isDirectory()) return false;
  return readdirSync(folder).includes(path.slice(folder.length + 1));
}
