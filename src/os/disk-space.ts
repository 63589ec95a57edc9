import { statfsSync } from 'node:fs';

/** What stays free for the rest of the machine: this, or a fiftieth of a small disk. */
const RESERVED_BYTES = 64 << 20;
const RESERVED_FILES = 16_384;
/** What is written at most between two looks at a disk. */
const STEP = 16 << 20;
/** What a small file takes. */
const BLOCK = 4096;

/** What may still be taken of a disk; none left is 0. */
export interface FreeSpace {
  /** Infinite where the file system does not count them, as ramfs and some of FUSE. */
  readonly bytes: number;
  /** Inodes; infinite where the file system makes them as needed. */
  readonly files: number;
}

/** What is free on the disk of a folder, less what the rest of the machine needs. */
export function freeSpace(folder: string): FreeSpace {
  const { bavail, blocks, bsize, files, ffree } = statfsSync(folder);
  const bytes = bavail * bsize - Math.min(RESERVED_BYTES, (blocks * bsize) / 50);
  const inodes = ffree - Math.min(RESERVED_FILES, files / 50);
  return {
    bytes: blocks === 0 ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(bytes)),
    files: files === 0 ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(inodes)),
  };
}

/**
 * Finds out that something would not fit on a disk before the disk is full, so that nobody else has to
 * suffer.
 */
export class DiskSpace {
  readonly #folder: string;
  /** What may be written before the next look. */
  #left = 0;

  /** @param folder any folder on that disk */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Announces a file, or a part of one, of so many bytes. Undefined when it fits, else why not.
   *
   * @param what says what they are, such as `the entry "a" of 5 bytes`
   */
  refuse(bytes: number, what: () => string): string | undefined {
    this.#left -= bytes + BLOCK;
    if (this.#left > 0) return undefined;
    const free = freeSpace(this.#folder);
    if (free.files === 0) return `no inodes left on the disk for ${what()}`;
    if (bytes > free.bytes || free.bytes === 0)
      return `no space left on the disk for ${what()}: ${free.bytes} are free`;
    this.#left = Math.min(STEP, (free.bytes - bytes) / 4, (free.files * BLOCK) / 4);
    return undefined;
  }
}
