/** Machine code for a processor. */
export interface Code {
  /** e_machine: elf(5). */
  readonly machine: number;
  readonly bytes: Buffer;
}

/** The bytes at the start of each line of a listing; behind two spaces a line says what they do. */
export function code(listing: string): Buffer {
  const bytes = listing
    .trim()
    .split('\n')
    .flatMap((line) => line.trim().split('  ', 1));
  return Buffer.from(bytes.join('').replaceAll(' ', ''), 'hex');
}

/** What of the file is where in memory. */
export interface Segment {
  /** 4 readable, 2 writable, 1 executable. */
  readonly flags: number;
  readonly at: number;
  readonly address: number;
  readonly size: number;
  /** More than `size` for memory that starts as zeros; `size` when absent. */
  readonly memory?: number;
}

/** The largest page of either processor, which segments are aligned to. */
export const PAGE = 0x1_0000;

const [FILE_HEADER, PROGRAM_HEADER] = [64, 56];

/** How long the headers of an executable with so many segments are. */
export function headersSize(segments: number): number {
  return FILE_HEADER + segments * PROGRAM_HEADER;
}

/** The headers of an executable, behind which its code comes, in the first segment: elf(5). */
export function headers(machine: number, segments: readonly [Segment, ...Segment[]]): Buffer {
  const file = Buffer.alloc(headersSize(segments.length));
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(2, 16); // e_type: ET_EXEC
  file.writeUInt16LE(machine, 18);
  file.writeUInt32LE(1, 20); // e_version
  file.writeBigUInt64LE(BigInt(segments[0].address + file.length), 24); // e_entry
  file.writeBigUInt64LE(BigInt(FILE_HEADER), 32); // e_phoff
  file.writeUInt16LE(FILE_HEADER, 52); // e_ehsize
  file.writeUInt16LE(PROGRAM_HEADER, 54); // e_phentsize
  file.writeUInt16LE(segments.length, 56); // e_phnum
  segments.forEach(({ flags, at, address, size, memory = size }, index) => {
    const header = headersSize(index);
    file.writeUInt32LE(1, header); // p_type: PT_LOAD
    file.writeUInt32LE(flags, header + 4);
    file.writeBigUInt64LE(BigInt(at), header + 8);
    file.writeBigUInt64LE(BigInt(address), header + 16);
    file.writeBigUInt64LE(BigInt(address), header + 24);
    file.writeBigUInt64LE(BigInt(size), header + 32);
    file.writeBigUInt64LE(BigInt(memory), header + 40);
    file.writeBigUInt64LE(BigInt(PAGE), header + 48);
  });
  return file;
}
