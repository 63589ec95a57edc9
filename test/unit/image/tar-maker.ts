/** Makes tar streams block by block, right and wrong ones. */

export interface Member {
  /** Latin1: one character per byte. */
  readonly name: string;
  readonly type?: string;
  readonly linkName?: string;
  readonly content?: Buffer | string;
  /** The size field, when it is to lie. */
  readonly size?: number;
  readonly mode?: number;
  /** ustar's prefix field. */
  readonly prefix?: string;
  /** Changes the finished header before its checksum is made. */
  readonly patch?: (header: Buffer) => void;
  readonly badChecksum?: boolean;
}

export const MANIFEST = JSON.stringify({
  acKind: 'ImageManifest',
  acVersion: '0.8.11',
  name: 'example.com/test',
  labels: [
    { name: 'version', value: '1.0' },
    { name: 'os', value: 'linux' },
    { name: 'arch', value: 'amd64' },
  ],
});

export const manifest: Member = { name: 'manifest', content: MANIFEST };
export const rootfs: Member = { name: 'rootfs', type: '5' };

export function member(of: Member): Buffer {
  const content = Buffer.from(of.content ?? '');
  const header = Buffer.alloc(512);
  header.write(of.name.slice(0, 100), 0, 'latin1');
  octal(header, of.mode ?? (of.type === '5' ? 0o755 : 0o644), 100, 8);
  octal(header, 0, 108, 8);
  octal(header, 0, 116, 8);
  octal(header, of.size ?? content.length, 124, 12);
  octal(header, 1_600_000_000, 136, 12);
  header.write(of.type ?? '0', 156, 'latin1');
  header.write((of.linkName ?? '').slice(0, 100), 157, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  octal(header, 0, 329, 8);
  octal(header, 0, 337, 8);
  header.write(of.prefix ?? '', 345, 'latin1');
  of.patch?.(header);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0) + (of.badChecksum ? 1 : 0);
  octal(header, sum, 148, 7);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** A pax extended header for the next member. */
export function pax(records: Readonly<Record<string, string>>, type = 'x'): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length++;
    return `${length}${rest}`;
  });
  return member({ name: 'PaxHeaders/x', type, content: Buffer.from(lines.join(''), 'latin1') });
}

/** A GNU long name (`L`) or long link target (`K`) for the next member. */
export function gnuLong(type: 'L' | 'K', name: string): Buffer {
  return member({ name: '././@LongLink', type, content: Buffer.from(`${name}\0`, 'latin1') });
}

/** An archive of members and ready-made blocks, with the end mark unless told otherwise. */
export function archive(members: readonly (Member | Buffer)[], endBlocks = 2): Buffer {
  const blocks = members.map((each) => (Buffer.isBuffer(each) ? each : member(each)));
  return Buffer.concat([...blocks, Buffer.alloc(512 * endBlocks)]);
}

/** A sound ACI with these members below its rootfs. */
export function aci(members: readonly (Member | Buffer)[] = []): Buffer {
  return archive([manifest, rootfs, ...members]);
}

function octal(header: Buffer, value: number, at: number, length: number): void {
  header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
}
