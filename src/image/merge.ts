import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { withPrivateMounts } from '../os/private-mounts.ts';
import { MS, mount } from '../os/syscalls.ts';
import { ImageError } from './error.ts';

/**
 * Runs `action` on an image's layers (absolute paths, bottom first) as one read-only tree. The kernel
 * knows how layers replace and delete each other's files. The mount is seen by this call and by the
 * processes that `action` starts, and goes with them; `scratch` is a folder for its mount point.
 */
export function withMerged<T>(
  layers: readonly string[],
  scratch: string,
  action: (root: string) => T,
): T {
  const [only] = layers;
  if (only !== undefined && layers.length === 1) return action(only);
  const [merged, lower] = [join(scratch, 'merged'), join(scratch, 'lower')];
  for (const folder of [merged, lower]) mkdirSync(folder, { recursive: true });
  // mount(2) takes one page of options, which the full paths of many layers would exceed.
  layers.forEach((layer, n) => {
    symlinkSync(layer, join(lower, String(n)));
  });
  const names = layers.map((_, n) => n).reverse();
  return withPrivateMounts(() => {
    process.chdir(lower);
    mount('overlay', merged, 'overlay', MS.RDONLY, `lowerdir=${names.join(':')}`);
    return action(merged);
  });
}

/** Copies an image's layers into a folder, as one tree. Throws ImageError `io`. */
export function copyLayers(layers: readonly string[], target: string, scratch: string): void {
  mkdirSync(target, { recursive: true, mode: 0o755 });
  const copied = withMerged(layers, scratch, (root) =>
    spawnSync('cp', ['-a', '--reflink=auto', `${root}/.`, target], {
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
  );
  if (copied.status === 0) return;
  const why = copied.stderr?.toString().trim().split('\n')[0];
  throw new ImageError('io', `cannot copy the image's files to ${target}: ${why}`, copied.error);
}
