import { closeSync, openSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';

/** Small, since several layers are read at once and each part is kept until it is written. */
const partSize = 65_536;

/** A file that is read while a download writes it. One reader. */
export class GrowingFile {
  readonly #path: string;
  #size = 0;
  #state: 'grows' | 'complete' | 'failed' = 'grows';
  #shrank = false;
  #wake = () => {};

  constructor(path: string) {
    this.#path = path;
  }

  /** The download had to start again, so what was read meanwhile may be no part of the file. */
  get shrank(): boolean {
    return this.#shrank;
  }

  /** Tells that the file has `size` bytes now. */
  grown(size: number): void {
    if (size < this.#size) this.#shrank = true;
    this.#size = size;
    this.#wake();
  }

  /** Tells that the file is whole: a reader comes to its end. */
  complete(): void {
    this.#state = 'complete';
    this.#wake();
  }

  /** Tells that it never will be: a reader fails. */
  fail(): void {
    this.#state = 'failed';
    this.#wake();
  }

  /** The bytes from the first on, as they come. */
  read(): Readable {
    return Readable.from(this.#parts(), { objectMode: false });
  }

  async *#parts(): AsyncGenerator<Buffer> {
    let fd: number | undefined;
    try {
      for (let at = 0; ; ) {
        if (this.#shrank || this.#state === 'failed') throw new Error('its download failed');
        if (at < this.#size) {
          fd ??= openSync(this.#path, 'r');
          const part = Buffer.allocUnsafe(Math.min(this.#size - at, partSize));
          const count = readSync(fd, part, 0, part.length, at);
          if (count === 0) throw new Error('its download became shorter');
          at += count;
          yield part.subarray(0, count);
        } else if (this.#state === 'complete') return;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}
