import { ImageError } from './error.ts';

/** Sizes in the tar format (POSIX.1-2017, pax, "ustar Interchange Format"). */
export const BLOCK = 512;

/** The fields of one header block that decide what the member is and where the next one starts. */
export interface TarHeader {
  /** Names are bytes in no known encoding, so they are kept one character per byte (latin1). */
  readonly name: string;
  readonly linkName: string;
  readonly size: number;
  /** `0` file, `1` hard link, `2` symlink, `3` and `4` devices, `5` folder, `6` FIFO, `x` … */
  readonly type: string;
  /** Old GNU sparse format: more blocks of the map follow this one. */
  readonly mapContinues: boolean;
}

/** Makes the ImageError for a broken rule of the format. */
export function badTar(why: string): ImageError {
  return new ImageError('bad-image', why);
}

/** A name from an archive as one printable word, for messages. */
export function quoteName(name: string): string {
  const bytes = Buffer.from(name, 'latin1');
  const text = bytes.toString('utf8');
  const shown = text.includes('\ufffd') ? name : text;
  const cut = shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Whether it is one of the two blocks that end an archive: tar(5). */
export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** Reads a header block; throws ImageError `bad-image` when it is none. */
export function parseHeader(block: Buffer): TarHeader {
  if (!checksumHolds(block)) throw badTar('it has a header with a wrong checksum: damaged');
  const magic = block.toString('latin1', 257, 263);
  const type = block.toString('latin1', 156, 157);
  const prefix = magic === 'ustar\0' ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: text(block, 157, 100),
    size: number(block, 124, 12),
    type: type === '\0' || type === '7' ? '0' : type,
    mapContinues: type === 'S' && block[482] !== 0,
  };
}

/** Reads the records of a pax extended header, `LENGTH KEY=VALUE\n` each. */
export function parsePax(body: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (const { key, value } of paxRecords(body)) {
    // Sparse format 0.0 repeats its two keys; nothing else may say two things at once.
    if (records.has(key) && !key.startsWith('GNU.sparse.') && records.get(key) !== value)
      throw badTar(`it has an extended (pax) header that gives ${quoteName(key)} twice`);
    records.set(key, value);
  }
  return records;
}

/** Sorts the records of a pax extended header in place. */
export function sortPax(body: Buffer): void {
  const sorted = [...paxRecords(body)].map(({ bytes }) => bytes).sort(Buffer.compare);
  Buffer.concat(sorted).copy(body);
}

function* paxRecords(body: Buffer): Generator<{ key: string; value: string; bytes: Buffer }> {
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? '' : body.toString('latin1', at, space);
    const end = at + Number(digits);
    const equals = body.indexOf(0x3d, space);
    if (!/^[1-9]\d{0,8}$/.test(digits) || end > body.length || equals < 0 || equals >= end)
      throw badTar('it has a damaged extended (pax) header');
    if (body[end - 1] !== 0x0a) throw badTar('it has a damaged extended (pax) header');
    const key = body.toString('latin1', space + 1, equals);
    const value = body.toString('latin1', equals + 1, end - 1);
    yield { key, value, bytes: body.subarray(at, end) };
    at = end;
  }
}

/** A whole number of bytes from a pax record. */
export function paxSize(value: string): number {
  const size = Number(value);
  if (!/^\d{1,19}$/.test(value) || !Number.isSafeInteger(size))
    throw badTar(`it has an extended (pax) header with the bad size ${quoteName(value)}`);
  return size;
}

/** Writes the header of a character device 0:0, which overlayfs takes for "there is nothing here". */
export function whiteoutHeader(path: string): Buffer {
  return namedMember(path, '3', 0);
}

/**
 * Writes the header of a folder that an archive has no entry for: of root's, 0755 and from 1970, so
 * that an archive always gives the same tree.
 */
export function folderHeader(path: string): Buffer {
  return namedMember(`./${path}`, '5', 0o755);
}

function namedMember(path: string, type: string, mode: number): Buffer {
  const name = Buffer.from(path, 'latin1');
  if (name.length <= 100) return emptyMember(name, type, 0, mode);
  const body = Buffer.alloc(Math.ceil((name.length + 1) / BLOCK) * BLOCK);
  name.copy(body);
  return Buffer.concat([
    emptyMember(Buffer.from('././@LongLink'), 'L', name.length + 1, 0),
    body,
    emptyMember(name.subarray(0, 100), type, 0, mode),
  ]);
}

function emptyMember(name: Buffer, type: string, size: number, mode: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): void => {
    block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  };
  name.copy(block);
  octal(mode, 100, 8);
  for (const [at, length] of [
    [108, 8],
    [116, 8],
    [136, 12],
    [329, 8],
    [337, 8],
  ] as const)
    octal(0, at, length);
  octal(size, 124, 12);
  block.write(type, 156, 'latin1');
  block.write('ustar  \0', 257, 'latin1');
  octal(sumOf(block), 148, 7);
  block[155] = 0x20;
  return block;
}

/** A header that says another size. */
export function withSize(header: Buffer, size: number): Buffer {
  const block = Buffer.from(header);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  block.write(`${sumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function checksumHolds(block: Buffer): boolean {
  const field = block
    .toString('latin1', 148, 156)
    .replace(/[\0 ]+$/, '')
    .trimStart();
  if (!/^[0-7]{1,7}$/.test(field)) return false;
  const wanted = Number.parseInt(field, 8);
  const unsigned = sumOf(block);
  // Some old programs summed signed characters.
  return wanted === unsigned || wanted === unsigned - 256 * countHighBytes(block);
}

/** The sum of a header's bytes, with the checksum's own field as spaces. */
function sumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i] ?? 0;
  return sum;
}

function countHighBytes(block: Buffer): number {
  let count = 0;
  for (let i = 0; i < BLOCK; i++) if ((i < 148 || i >= 156) && (block[i] ?? 0) >= 0x80) count++;
  return count;
}

/** A string field, which a NUL ends unless it fills the field. */
function text(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 || end > at + length ? at + length : end);
}

/** A number field: octal digits, or base 256 with the top bit set. */
function number(block: Buffer, at: number, length: number): number {
  const first = block[at] ?? 0;
  if (first & 0x80) {
    let value = first & 0x7f;
    for (let i = at + 1; i < at + length; i++) value = value * 256 + (block[i] ?? 0);
    if (Number.isSafeInteger(value)) return value;
    throw badTar('it has a header with a size that is negative or too large');
  }
  const digits = block.toString('latin1', at, at + length).replace(/^[\0 ]+|[\0 ].*$/gs, '');
  if (!/^[0-7]*$/.test(digits)) throw badTar('it has a header with a size that is no number');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}
