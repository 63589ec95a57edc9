/**
 * D-Bus messages as bytes, for the few calls of a start, which has no time for a library. What a value
 * looks like, and after which padding: D-Bus specification, "Marshaling (Wire Format)".
 */

/** Appends a value to what starts at an address that is a multiple of 8. */
export type Put = (out: number[]) => void;

/** A method of a bus object, the signature of what it takes, and that. */
export interface MethodCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly Put[];
}

/** `u`, and `b` as 0 or 1. */
export function uint32(value: number): Put {
  return (out) => {
    pad(out, 4);
    out.push(...littleEndian(value));
  };
}

/** `s` or `o`. */
export function text(value: string): Put {
  return (out) => {
    const bytes = Buffer.from(value);
    uint32(bytes.length)(out);
    out.push(...bytes, 0);
  };
}

/** `ay`. */
export function bytes(value: Buffer): Put {
  return (out) => {
    uint32(value.length)(out);
    out.push(...value);
  };
}

/** `a` of anything but bytes; structures are aligned to 8. */
export function array(items: readonly Put[], alignment: 4 | 8 = 4): Put {
  return (out) => {
    uint32(0)(out);
    const size = out.length - 4;
    pad(out, alignment);
    const start = out.length;
    for (const item of items) item(out);
    out.splice(size, 4, ...littleEndian(out.length - start));
  };
}

/** `(…)`. */
export function struct(...fields: readonly Put[]): Put {
  return (out) => {
    pad(out, 8);
    for (const field of fields) field(out);
  };
}

/** `v`. */
export function variant(signature: string, value: Put): Put {
  return (out) => {
    signatureText(signature)(out);
    value(out);
  };
}

function signatureText(value: string): Put {
  return (out) => out.push(value.length, ...Buffer.from(value), 0);
}

function littleEndian(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
}

function pad(out: number[], alignment: number): void {
  while (out.length % alignment !== 0) out.push(0);
}

const KINDS = ['invalid', 'call', 'reply', 'error', 'signal'] as const;
const LITTLE_ENDIAN = 0x6c;

/** The message that calls a method. */
export function encodeCall(serial: number, call: MethodCall): Buffer {
  const body: number[] = [];
  for (const put of call.body ?? []) put(body);
  const fields = [
    field(1, 'o', text(call.path)),
    field(2, 's', text(call.interface)),
    field(3, 's', text(call.member)),
    field(6, 's', text(call.destination)),
    field(8, 'g', signatureText(call.signature ?? '')),
  ];
  const message = [LITTLE_ENDIAN, KINDS.indexOf('call'), 0, 1];
  uint32(body.length)(message);
  uint32(serial)(message);
  array(fields, 8)(message);
  pad(message, 8);
  return Buffer.from([...message, ...body]);
}

function field(code: number, type: string, value: Put): Put {
  return struct((out) => out.push(code), variant(type, value));
}

/** What came; `size` are its bytes. */
export interface Message {
  readonly size: number;
  readonly kind: (typeof KINDS)[number];
  /** The call that it answers, by its serial. */
  readonly replyTo: number | undefined;
  /** A signal's name. */
  readonly member: string | undefined;
  /** The unique name of who sent it. */
  readonly sender: string | undefined;
  readonly body: Buffer;
}

/**
 * The first message of what came; undefined while it is not whole. Anybody may send signals to this
 * process: what systemd would not send, as another byte order, is `invalid`.
 */
export function decodeMessage(data: Buffer): Message | undefined {
  if (data.length < 16) return undefined;
  const isOurs = data[0] === LITTLE_ENDIAN;
  const lengthAt = (at: number) => (isOurs ? data.readUInt32LE(at) : data.readUInt32BE(at));
  const fieldsEnd = 16 + lengthAt(12);
  const bodyStart = aligned(fieldsEnd, 8);
  const size = bodyStart + lengthAt(4);
  if (data.length < size) return undefined;
  const fields = new Map<number, string | number>();
  if (!isOurs) return messageOf('invalid', size, fields, Buffer.alloc(0));
  for (let at = 16; at < fieldsEnd; ) {
    const start = aligned(at, 8);
    const type = String.fromCharCode(data.readUInt8(start + 2));
    if (!'osgu'.includes(type)) return messageOf('invalid', size, fields, Buffer.alloc(0));
    const [value, end] =
      type === 'u' ? [data.readUInt32LE(start + 4), start + 8] : textAt(data, start + 4, type);
    fields.set(data.readUInt8(start), value);
    at = end;
  }
  const kind = KINDS[data.readUInt8(1)] ?? 'invalid';
  return messageOf(kind, size, fields, data.subarray(bodyStart, size));
}

function messageOf(
  kind: Message['kind'],
  size: number,
  fields: ReadonlyMap<number, string | number>,
  body: Buffer,
): Message {
  const [replyTo, member, sender] = [fields.get(5), fields.get(3), fields.get(7)];
  return {
    size,
    kind,
    replyTo: typeof replyTo === 'number' ? replyTo : undefined,
    member: typeof member === 'string' ? member : undefined,
    sender: typeof sender === 'string' ? sender : undefined,
    body,
  };
}

/** The texts that a body consists of from an offset on. */
export function textsIn(body: Buffer, offset: number): string[] {
  const texts: string[] = [];
  for (let at = offset; at < body.length; ) {
    const [value, end] = textAt(body, at);
    texts.push(value);
    at = end;
  }
  return texts;
}

/** A text and where it ends; the length of a signature (`g`) has one byte. */
function textAt(data: Buffer, offset: number, type = 's'): [value: string, end: number] {
  const at = type === 'g' ? offset : aligned(offset, 4);
  const start = at + (type === 'g' ? 1 : 4);
  const end = start + (type === 'g' ? data.readUInt8(at) : data.readUInt32LE(at));
  return [data.toString('utf8', start, end), end + 1];
}

function aligned(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
