import { statfsSync } from 'node:fs';
import { ImageError } from './error.ts';
import { quoteName } from './tar-headers.ts';

/** What is written between two looks at the disk; also what may be on its way there. */
const STEP = 16 << 20;
/** What stays free for the rest of the machine: this, or a fiftieth of a small disk. */
const RESERVE = 64 << 20;
/** What a small file takes. */
const BLOCK = 4096;

/** Refuses what would not fit on a disk before the disk is full, so that nobody else has to suffer. */
export class DiskSpace {
  readonly #folder: string;
  #unchecked = Number.POSITIVE_INFINITY;

  /** @param folder any folder on that disk */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Announces a member with that many bytes of content. Throws ImageError `io`. */
  take(name: string, bytes: number): void {
    this.#unchecked += bytes + BLOCK;
    if (this.#unchecked < STEP) return;
    const { bavail, blocks, bsize } = statfsSync(this.#folder);
    const free = bavail * bsize - Math.min(RESERVE, (blocks * bsize) / 50);
    if (bytes > free)
      throw new ImageError(
        'io',
        `no space left on the disk for the entry ${quoteName(name)} of ${bytes} bytes: ${Math.max(0, Math.floor(free))} are free`,
      );
    this.#unchecked = 0;
  }
}
