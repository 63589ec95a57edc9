import type { ImageManifest } from '../../src/appc/index.ts';
import { labelValue } from '../../src/appc/index.ts';
import { readHeadInRoot, statInRoot } from '../../src/os/inroot.ts';

/** What a C library of 32-bit x86 needs in place (glibc, musl), since it is compiled into programs. */
const LOADERS = ['/lib/ld-linux.so.2', '/lib/ld-musl-i386.so.1'];

/**
 * Whether an app of an amd64 host may run programs of 32-bit x86, for which its filter has to be
 * compiled a second time: its image says so, has their loader, or runs such a program itself.
 */
export function hasNarrowPrograms(image: ImageManifest, root: string, file: string): boolean {
  if (process.arch !== 'x64') return false;
  if (labelValue(image.labels, 'arch') === 'i386') return true;
  const head = readHeadInRoot(root, file, 5);
  const isElf32 = head.length === 5 && head.readUInt32BE(0) === 0x7f454c46 && head[4] === 1;
  return isElf32 || LOADERS.some((path) => statInRoot(root, path) !== undefined);
}
