import { versionedName } from '../../appc/versioned-name.ts';
import { holdPod } from '../../pod/hold.ts';
import type { LogEntry } from '../../pod/log-file.ts';
import { PodLogs } from '../../pod/logs.ts';
import { findPod, type Pod } from '../../pod/pods.ts';
import { readAppImageManifest } from '../../stage1/pod-files.ts';
import type { Context } from '../context.ts';
import { parseDuration } from '../duration.ts';
import { flagError } from '../error.ts';
import { podOperands } from '../pod-operands.ts';

/** Prints what the apps of a pod have written. */
export async function run(context: Context): Promise<number> {
  const { flags, globals, stdout } = context;
  const pod = holdPod(globals.dataDir, findPod(globals.dataDir, podOperands(context)[0] ?? ''));
  const app = flags.value('app');
  const since = sinceTime(flags.value('since'));
  const logs = new PodLogs(globals.dataDir, pod, {
    ...(app === undefined ? {} : { app }),
    ...(since === undefined ? {} : { since }),
  });
  const format = formatter(flags.value('output') ?? '', pod);
  const print = (entries: readonly LogEntry[]) => {
    if (entries.length > 0) stdout.write(Buffer.concat(entries.flatMap(format)));
  };
  try {
    print(logs.read(tailCount(flags.value('tail'))));
    if (flags.bool('follow')) await logs.follow(print);
  } finally {
    logs.close();
  }
  return 0;
}

const NEWLINE = Buffer.from('\n');

function formatter(name: string, pod: Pod): (entry: LogEntry) => Buffer[] {
  switch (name) {
    case 'cat':
      return ({ text, endsLine }) => (endsLine ? [text, NEWLINE] : [text]);
    case 'json':
      return jsonLine(pod);
    case 'short-iso':
      return ({ time, app, text }) => [Buffer.from(`${time} ${app}: `), text, NEWLINE];
    default:
      return ({ time, app, text }) => [Buffer.from(`${shortTime(time)} ${app}: `), text, NEWLINE];
  }
}

/** An object per entry with the fields that it has in the journal: systemd.journal-fields(7). */
function jsonLine(pod: Pod): (entry: LogEntry) => Buffer[] {
  const images = new Map<string, string>();
  const imageOf = (app: string): string => {
    const known = images.get(app);
    if (known !== undefined) return known;
    const { name, labels } = readAppImageManifest(pod.folder, app);
    const image = versionedName(name, labels);
    images.set(app, image);
    return image;
  };
  return ({ time, app, stream, text }) => {
    const fields = {
      __REALTIME_TIMESTAMP: microseconds(time),
      RKT_POD: pod.uuid,
      RKT_APP: app,
      RKT_IMAGE: imageOf(app),
      RKT_STREAM: stream,
      MESSAGE: isUtf8(text) ? text.toString() : [...text],
    };
    return [Buffer.from(`${JSON.stringify(fields)}\n`)];
  };
}

/** Text that is not UTF-8 is a list of its bytes, as in `journalctl -o json`. */
function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString()).equals(bytes);
}

function microseconds(time: string): string {
  const seconds = Date.parse(`${time.slice(0, 19)}Z`) / 1000;
  return `${seconds}${time.slice(20, 26)}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** As journalctl and syslog write it, in the local zone: `Nov 22 16:45:00`. */
function shortTime(time: string): string {
  const date = new Date(time);
  const two = (amount: number) => String(amount).padStart(2, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${MONTHS[date.getMonth()]} ${two(date.getDate())} ${clock}`;
}

/** A time as entries have it, with which it compares as text: of its millisecond the first moment. */
function entryTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '000000Z');
}

/** `10m` is so long ago; anything else is a time. */
function sinceTime(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const ago = parseDuration(text);
  const time = ago === undefined ? Date.parse(text) : Date.now() - Math.abs(ago);
  if (Number.isNaN(new Date(time).getTime()))
    throw flagError(
      'since',
      `must be a duration such as 10m or a time such as 2026-01-02T15:04:05Z, not "${text}"`,
    );
  return entryTime(time);
}

function tailCount(text: string | undefined): number {
  if (text === undefined || text === 'all') return Number.POSITIVE_INFINITY;
  if (/^\d+$/.test(text)) return Number(text);
  throw flagError('tail', `must be a number of lines or all, not "${text}"`);
}
