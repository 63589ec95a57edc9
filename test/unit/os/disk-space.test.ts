import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { DiskSpace } from '../../../src/os/disk-space.ts';

/** A disk of its own, which goes away with the test. */
function disk(options: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'rkt-disk-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder]);
  onTestFinished(() => void execFileSync('umount', [folder]));
  return folder;
}

test('what fits is let through, what does not is refused with what is free', () => {
  const folder = disk('size=100m');
  const space = new DiskSpace(folder);
  expect(space.refuse(50 << 20, () => 'x')).toBeUndefined();
  expect(space.refuse(99 << 20, () => 'a file')).toMatch(
    /^no space left on the disk for a file: \d+ are free$/,
  );
});

test('bytes that are written bit by bit are refused before the disk is full', () => {
  const folder = disk('size=8m');
  const space = new DiskSpace(folder);
  let why: string | undefined;
  for (let n = 0; why === undefined; n++) {
    why = space.refuse(16_384, () => 'more');
    if (why === undefined) writeFileSync(join(folder, String(n)), Buffer.alloc(16_384));
  }
  expect(why).toMatch(/^no space left on the disk for more: \d+ are free$/);
  const { bavail, bsize } = statfsSync(folder);
  expect(bavail * bsize).toBeGreaterThan(64 << 10);
});

test('empty files are refused before the inodes are used up', () => {
  const folder = disk('size=100m,nr_inodes=1000');
  const space = new DiskSpace(folder);
  let why: string | undefined;
  for (let n = 0; why === undefined; n++) {
    why = space.refuse(0, () => 'one more');
    if (why === undefined) writeFileSync(join(folder, String(n)), '');
  }
  expect(why).toBe('no inodes left on the disk for one more');
  expect(statfsSync(folder).ffree).toBeGreaterThan(0);
});
