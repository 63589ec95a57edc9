import { aclRecords } from './acl-records.ts';
import {
  BLOCK,
  badTar,
  isZeroBlock,
  parseHeader,
  parsePax,
  paxSize,
  quoteName,
  type TarHeader,
  withSize,
} from './tar-headers.ts';

/** One member of an archive, after its extended headers were applied. */
export interface TarEntry {
  /** As archived, latin1. */
  readonly name: string;
  readonly linkName: string;
  readonly type: 'file' | 'hardlink' | 'symlink' | 'device' | 'directory' | 'fifo';
  /** Bytes of content in the archive; fewer than the file's size when it is sparse. */
  readonly size: number;
}

/**
 * What becomes of a member: `pass` it on, `drop` it, or drop it and `capture` its content.
 * Throwing refuses the archive.
 */
export type Verdict = 'pass' | 'drop' | { capture(content: Buffer): void };

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
  S: 'file',
};

/** Longer extended headers than these serve no purpose but to fill the memory. */
const EXTENSION_LIMIT = 1 << 20;
const CAPTURE_LIMIT = 4 << 20;

/**
 * Walks the headers of a tar stream (ustar, pax, GNU, old GNU sparse) as its bytes come by, in
 * constant memory.
 */
export class TarWalker {
  readonly #judge: (entry: TarEntry) => Verdict;
  readonly #seePax: ((records: Buffer) => void) | undefined;
  /** Where the next bytes belong. */
  #state: 'header' | 'extension' | 'map' | 'content' | 'end' = 'header';
  /** Bytes of a header or extension that came in parts. */
  #partial = Buffer.alloc(0);
  /** Blocks of the present member that wait for its verdict. */
  #held: Buffer[] = [];
  #out: Buffer[] = [];
  #extension: { type: string; size: number } | undefined;
  #pax: Map<string, string> | undefined;
  #long: { L?: string; K?: string } = {};
  #pending: TarHeader | undefined;
  /** Bytes of content and padding to come, and what to do with them. */
  #left = 0;
  #padding = 0;
  #passing = false;
  #capture: { parts: Buffer[]; size: number; done(content: Buffer): void } | undefined;
  #current = '';
  #zeroBlocks = 0;
  /** Whom ACLs name that nobody knows: see `aclRecords`. */
  readonly lostAclNames = new Set<string>();

  /** @param seePax is given the records of each pax header, whose bytes it may change in place */
  constructor(judge: (entry: TarEntry) => Verdict, seePax?: (records: Buffer) => void) {
    this.#judge = judge;
    this.#seePax = seePax;
  }

  /**
   * Takes the next bytes; returns those to pass on, as parts of the same memory.
   *
   * @throws ImageError `bad-image`, and whatever the judge throws
   */
  push(chunk: Buffer): Buffer[] {
    this.#out = [];
    let at = 0;
    while (at < chunk.length && this.#state !== 'end') {
      if (this.#state === 'content') {
        const part = chunk.subarray(at, at + this.#left);
        at += part.length;
        this.#content(part);
        continue;
      }
      const wanted = this.#state === 'extension' ? padded(this.#extension?.size ?? 0) : BLOCK;
      const part = chunk.subarray(at, at + wanted - this.#partial.length);
      at += part.length;
      const whole = this.#partial.length === 0 ? part : Buffer.concat([this.#partial, part]);
      this.#partial = whole.length < wanted ? Buffer.from(whole) : Buffer.alloc(0);
      if (whole.length === wanted) this.#block(whole);
    }
    return this.#out;
  }

  /**
   * The stream has ended; returns the padding that the last member lacks (umoci insert writes none).
   * Throws ImageError `bad-image` when a member is not whole.
   */
  end(): Buffer[] {
    if (this.#state === 'end') return [];
    if (this.#state === 'content' && this.#left <= this.#padding)
      return this.push(Buffer.alloc(this.#left));
    if (this.#state === 'content')
      throw badTar(`it is truncated: it ends inside ${quoteName(this.#current)}`);
    if (this.#state !== 'header' || this.#partial.length > 0 || this.#held.length > 0)
      throw badTar('it is truncated: it ends inside a header');
    return [];
  }

  /** Whether the bytes so far end inside the content of a member. */
  get insideContent(): boolean {
    return this.#state === 'content';
  }

  #block(block: Buffer): void {
    if (this.#state === 'header') this.#header(block);
    else if (this.#state === 'extension') this.#extended(block);
    else {
      this.#held.push(block);
      if (block[504] === 0) this.#member();
    }
  }

  #header(block: Buffer): void {
    if (isZeroBlock(block)) {
      if (this.#held.length > 0) throw badTar('it ends after an extended header');
      if (++this.#zeroBlocks === 2) this.#state = 'end';
      return;
    }
    if (this.#zeroBlocks > 0) throw badTar('it goes on after an empty block');
    const header = parseHeader(block);
    this.#held.push(block);
    if ('xgLK'.includes(header.type)) {
      if (header.size > EXTENSION_LIMIT)
        throw badTar(`it has an extended header of ${header.size} bytes`);
      this.#extension = header;
      this.#state = 'extension';
      if (header.size === 0) this.#extended(Buffer.alloc(0));
      return;
    }
    this.#pending = header;
    if (header.mapContinues) this.#state = 'map';
    else this.#member();
  }

  #extended(block: Buffer): void {
    const { type, size } = this.#extension ?? { type: '', size: 0 };
    const body = block.subarray(0, size);
    this.#held.push(block);
    this.#state = 'header';
    if (type === 'g') {
      for (const key of parsePax(body).keys())
        if (/^(path|linkpath|size)$|^GNU\.sparse\./.test(key))
          throw badTar(`it has a global extended header that sets ${quoteName(key)}`);
    } else if (type === 'x') {
      if (this.#pax) throw badTar('it has two extended (pax) headers for one entry');
      this.#pax = parsePax(body);
      this.#seePax?.(body);
      this.#addAcls(this.#pax, body);
    } else if (type === 'L' || type === 'K') {
      if (this.#long[type] !== undefined) throw badTar('it has two long names for one entry');
      this.#long[type] = body.toString('latin1').replace(/\0.*$/s, '');
    }
  }

  /** Puts a longer extended header in the place of the one that is held, where that is needed. */
  #addAcls(pax: Map<string, string>, body: Buffer): void {
    const records = aclRecords(pax, this.lostAclNames);
    if (records.length === 0) return;
    const [header, ...rest] = this.#held.splice(-2);
    if (!header || rest.length === 0) return;
    const size = body.length + records.length;
    const end = Buffer.alloc(padded(size) - size);
    this.#held.push(withSize(header, size), Buffer.concat([body, records, end]));
  }

  /** All headers of a member are there: has it judged. */
  #member(): void {
    const entry = this.#entry();
    this.#current = entry.name;
    const verdict = this.#judge(entry);
    this.#passing = verdict === 'pass';
    if (this.#passing) for (const block of this.#held) this.#emit(block);
    if (typeof verdict === 'object') {
      if (entry.size > CAPTURE_LIMIT)
        throw badTar(`the entry ${quoteName(entry.name)} has ${entry.size} bytes, too many`);
      this.#capture = { parts: [], size: entry.size, done: verdict.capture };
    }
    this.#held = [];
    this.#pax = undefined;
    this.#long = {};
    this.#pending = undefined;
    this.#left = padded(entry.size);
    this.#padding = this.#left - entry.size;
    this.#state = 'content';
    if (this.#left === 0) this.#contentDone();
  }

  #entry(): TarEntry {
    const header = this.#pending;
    if (!header) throw badTar('it has no header');
    const name = this.#name('name', header.name, this.#long.L, 'path', 'GNU.sparse.name');
    const linkName = this.#name('link target', header.linkName, this.#long.K, 'linkpath');
    const known = TYPES[header.type];
    if (!known)
      throw badTar(`the entry ${quoteName(name)} has the unknown type ${quoteName(header.type)}`);
    const type = known === 'file' && name.endsWith('/') ? 'directory' : known;
    const paxed = this.#pax?.get('size');
    const size = paxed === undefined ? (type === 'hardlink' ? 0 : header.size) : paxSize(paxed);
    if (type !== 'file' && size !== 0)
      throw badTar(`the entry ${quoteName(name)} is a ${type} with ${size} bytes of content`);
    return { name, linkName, type, size };
  }

  /** The name that counts: pax before GNU before the header. Where two differ, readers differ. */
  #name(what: string, inHeader: string, long: string | undefined, ...keys: string[]): string {
    const names = keys.map((key) => this.#pax?.get(key)).filter((name) => name !== undefined);
    const pax = names.at(-1);
    if (pax?.includes('\0'))
      throw badTar(`the entry ${quoteName(inHeader)} has a NUL in its ${what}`);
    if (pax !== undefined && long !== undefined && pax !== long)
      throw badTar(`the ${what}s ${quoteName(pax)} and ${quoteName(long)} are given for one entry`);
    return pax ?? long ?? inHeader;
  }

  #content(part: Buffer): void {
    this.#left -= part.length;
    if (this.#passing) this.#emit(part);
    this.#capture?.parts.push(Buffer.from(part));
    if (this.#left === 0) this.#contentDone();
  }

  #contentDone(): void {
    const capture = this.#capture;
    this.#capture = undefined;
    this.#state = 'header';
    capture?.done(Buffer.concat(capture.parts).subarray(0, capture.size));
  }

  /** Queues bytes to pass on, joined with the last ones where they touch in memory. */
  #emit(part: Buffer): void {
    const last = this.#out.at(-1);
    if (last?.buffer === part.buffer && last.byteOffset + last.length === part.byteOffset)
      this.#out[this.#out.length - 1] = Buffer.from(
        part.buffer,
        last.byteOffset,
        last.length + part.length,
      );
    else this.#out.push(part);
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}
