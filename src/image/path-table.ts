import { randomBytes } from 'node:crypto';

/**
 * A small number for each of many paths, in 9 bytes a slot: instead of the path it keeps 64 bits of a
 * hash whose key is secret and new for each table. So that an archive can't be made for which two paths
 * are taken for one; by chance, two of a million are in one of tens of millions of tables.
 */
export class PathTable {
  readonly #key = new Int32Array(new Uint8Array(randomBytes(16)).buffer);
  /** Two words a slot; a slot whose value is 0 is free. */
  #hashes = new Int32Array(2 * 1024);
  #values = new Uint8Array(1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value of a path (latin1); 0 when it has none. */
  get(path: string): number {
    const [low, high] = sipHash(this.#key, path);
    return this.#values[this.#slot(low, high)] ?? 0;
  }

  /** Gives a path a value from 1 to 255. */
  set(path: string, value: number): void {
    const [low, high] = sipHash(this.#key, path);
    if (this.#put(low, high, value)) this.#size++;
    if (this.#size > this.#values.length * 0.75) this.#grow();
  }

  /** True when the slot was free. */
  #put(low: number, high: number, value: number): boolean {
    const slot = this.#slot(low, high);
    const isNew = this.#values[slot] === 0;
    this.#hashes[2 * slot] = low;
    this.#hashes[2 * slot + 1] = high;
    this.#values[slot] = value;
    return isNew;
  }

  /** Where a hash is, or where it belongs. */
  #slot(low: number, high: number): number {
    const mask = this.#values.length - 1;
    let slot = low & mask;
    while (
      this.#values[slot] !== 0 &&
      (this.#hashes[2 * slot] !== low || this.#hashes[2 * slot + 1] !== high)
    )
      slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const [hashes, values] = [this.#hashes, this.#values];
    this.#hashes = new Int32Array(2 * hashes.length);
    this.#values = new Uint8Array(2 * values.length);
    values.forEach((value, slot) => {
      if (value !== 0) this.#put(hashes[2 * slot] ?? 0, hashes[2 * slot + 1] ?? 0, value);
    });
  }
}

/** SipHash-1-3 of a latin1 string, as two 32-bit words (Aumasson and Bernstein, 2012). */
function sipHash(key: Int32Array, text: string): [low: number, high: number] {
  const [k0l = 0, k0h = 0, k1l = 0, k1h = 0] = key;
  let v0l = k0l ^ 0x70736575;
  let v0h = k0h ^ 0x736f6d65;
  let v1l = k1l ^ 0x6e646f6d;
  let v1h = k1h ^ 0x646f7261;
  let v2l = k0l ^ 0x6e657261;
  let v2h = k0h ^ 0x6c796765;
  let v3l = k1l ^ 0x79746573;
  let v3h = k1h ^ 0x74656462;
  const round = (): void => {
    let low = (v0l >>> 0) + (v1l >>> 0);
    v0h = (v0h + v1h + (low > 0xffffffff ? 1 : 0)) | 0;
    v0l = low | 0;
    let word = (v1l << 13) | (v1h >>> 19);
    v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
    v1l = word ^ v0l;
    word = v0l;
    v0l = v0h;
    v0h = word;
    low = (v2l >>> 0) + (v3l >>> 0);
    v2h = (v2h + v3h + (low > 0xffffffff ? 1 : 0)) | 0;
    v2l = low | 0;
    word = (v3l << 16) | (v3h >>> 16);
    v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
    v3l = word ^ v2l;
    low = (v0l >>> 0) + (v3l >>> 0);
    v0h = (v0h + v3h + (low > 0xffffffff ? 1 : 0)) | 0;
    v0l = low | 0;
    word = (v3l << 21) | (v3h >>> 11);
    v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
    v3l = word ^ v0l;
    low = (v2l >>> 0) + (v1l >>> 0);
    v2h = (v2h + v1h + (low > 0xffffffff ? 1 : 0)) | 0;
    v2l = low | 0;
    word = (v1l << 17) | (v1h >>> 15);
    v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
    v1l = word ^ v2l;
    word = v2l;
    v2l = v2h;
    v2h = word;
  };
  const absorb = (low: number, high: number): void => {
    v3l ^= low;
    v3h ^= high;
    round();
    v0l ^= low;
    v0h ^= high;
  };
  const wordAt = (at: number): number =>
    text.charCodeAt(at) |
    (text.charCodeAt(at + 1) << 8) |
    (text.charCodeAt(at + 2) << 16) |
    (text.charCodeAt(at + 3) << 24);
  let at = 0;
  for (; at + 8 <= text.length; at += 8) absorb(wordAt(at), wordAt(at + 4));
  // charCodeAt behind the end is NaN, which is 0 here.
  absorb(wordAt(at), (wordAt(at + 4) & 0xffffff) | (text.length << 24));
  v2l ^= 0xff;
  for (let n = 0; n < 3; n++) round();
  return [v0l ^ v1l ^ v2l ^ v3l, v0h ^ v1h ^ v2h ^ v3h];
}
