import { isSystemdHost } from './host.ts';
import { sendDatagram } from './notify.ts';

/** What happens that an administrator may look for, and its MESSAGE_ID: units/rkt.catalog. */
const EVENTS = {
  'pod-started': '7361ab89022948dbbd313c929cf8868d',
  'pod-exited': 'f7d88d21b29e481e9c53536a736deaae',
  'pod-failed': '59c330ec2dec4ebabf327ee42107491d',
  'pod-stopped': '09ef10dd9427441390179fea0904fc02',
  'pod-removed': '58cdbd47d9f04e3f81acb362c919a293',
  'image-added': 'd5103fc4301c4145b3113c43f7444e5f',
  'image-removed': 'e6cd5673ba0f4e56a44daa8e2c776e72',
  'trust-changed': '416cd4052a91493ba690ebba8eefb352',
  'configuration-bad': '0fb6b45368c74f25b341af3f8fa61748',
} as const;

/** What can happen. */
export type EventKind = keyof typeof EVENTS;

/** The MESSAGE_ID of each kind of event. */
export const MESSAGE_IDS: Readonly<Record<EventKind, string>> = EVENTS;

const SOCKET = '/run/systemd/journal/socket';

/** syslog(3). */
const PRIORITIES = { error: '3', notice: '5', info: '6' } as const;

/** Something that an administrator may look for. */
export interface Event {
  readonly kind: EventKind;
  readonly message: string;
  readonly priority?: keyof typeof PRIORITIES;
  /** The function that tells of it, as `src/pod/stop.ts:stopPod`. */
  readonly code: string;
  /** More fields, such as `RKT_POD`; one may have several values. */
  readonly fields: Entry;
}

/** The fields of an entry; a name may come more than once. */
export type Entry = readonly (readonly [name: string, value: string])[];

/** Writes an entry; false when it cannot write this one. */
type Writer = (entry: Entry) => boolean;

let writer: Writer | undefined;

/** From now on this process writes by `other` what that can write: native.ts. */
export function writeEntriesBy(other: Writer): void {
  writer = other;
}

/**
 * Writes an event to the journal with its fields, by the journal's own protocol, where there is one. It
 * costs one datagram; that it could not be written stops nothing.
 */
export function logEvent({ kind, message, priority, code, fields }: Event): void {
  if (!isSystemdHost()) return;
  const [file = '', func = ''] = code.split(':');
  const entry: Entry = [
    ['MESSAGE', message],
    ['MESSAGE_ID', EVENTS[kind]],
    ['PRIORITY', PRIORITIES[priority ?? 'info']],
    ['SYSLOG_IDENTIFIER', 'rkt'],
    ['CODE_FILE', file],
    ['CODE_FUNC', func],
    ...fields,
  ];
  try {
    if (writer?.(entry)) return;
    sendDatagram(SOCKET, Buffer.concat(entry.map(([name, value]) => field(name, value))));
  } catch {
    // The journal is somebody else's to mend.
  }
}

/** A field: `NAME=VALUE`, or, with lines in it, by its length (systemd: "Native Journal Protocol"). */
function field(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`);
  const data = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, data, Buffer.from('\n')]);
}
