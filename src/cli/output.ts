import { printable } from '../os/printable.ts';
import type { Flags } from './flags.ts';

/**
 * Lines of a table: columns separated by one or more tabs, as many as align them at tab stops of 8.
 * Scripts split on runs of tabs, people see columns. The last cell of a line has no tab behind it.
 */
export function tableText(table: readonly (readonly string[])[]): string {
  const rows = table.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows)
    row.slice(0, -1).forEach((cell, at) => {
      widths[at] = Math.max(widths[at] ?? 0, tabStop(width(cell) + 1));
    });
  const line = (row: readonly string[]) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell + tabs(cell, widths[at] ?? 0)));
  return rows.map((row) => `${line(row).join('')}\n`).join('');
}

function tabs(cell: string, columns: number): string {
  return '\t'.repeat(Math.ceil((columns - width(cell)) / 8));
}

function tabStop(columns: number): number {
  return Math.ceil(columns / 8) * 8;
}

function width(cell: string): number {
  return [...cell].length;
}

/** The value of `--format`; undefined for text. */
export function jsonFormat(flags: Flags): 'json' | 'json-pretty' | undefined {
  const format = flags.value('format');
  return format === 'json' || format === 'json-pretty' ? format : undefined;
}

/** JSON with a line end: on one line, or indented by tabs. */
export function jsonText(value: unknown, format: 'json' | 'json-pretty'): string {
  return `${JSON.stringify(value, undefined, format === 'json' ? undefined : '\t')}\n`;
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A number of bytes for people: `512B`, `1.2MiB`, `63MiB`. */
export function sizeText(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  for (; Math.round(amount) >= 1024 && unit < units.length - 1; unit++) amount /= 1024;
  const digits = unit > 0 && amount < 9.95 ? 1 : 0;
  return `${amount.toFixed(digits)}${units[unit]}`;
}

/** The first 8 digits of a UUID. */
export function shortUuid(uuid: string): string {
  return uuid.slice(0, 8);
}

/** An image key as tables show it: `sha512-` and 12 digits. */
export function briefKey(key: string): string {
  return key.slice(0, 19);
}

/** An image key as fetch and import print it: `sha512-` and 32 digits. */
export function shortKey(key: string): string {
  return key.slice(0, 39);
}

const second = 1000;
const spans: readonly (readonly [milliseconds: number, name: string])[] = [
  [365 * 24 * 3600 * second, 'year'],
  [30 * 24 * 3600 * second, 'month'],
  [7 * 24 * 3600 * second, 'week'],
  [24 * 3600 * second, 'day'],
  [3600 * second, 'hour'],
  [60 * second, 'minute'],
  [second, 'second'],
];

/** A time for people: `3 minutes ago`. Milliseconds since the epoch. */
export function agoText(time: number, now = Date.now()): string {
  const passed = Math.abs(now - time);
  const [span, name] = spans.find(([milliseconds]) => passed >= milliseconds) ?? [];
  if (span === undefined) return 'now';
  const count = Math.floor(passed / span);
  return `${count} ${name}${count === 1 ? '' : 's'} ${now < time ? 'from now' : 'ago'}`;
}

/**
 * A time in full: `2026-01-02 03:04:05.678 +0100 CET`, in the local zone, the fraction without
 * trailing zeros. Milliseconds since the epoch.
 */
export function timeText(time: number): string {
  const date = new Date(time);
  const minutes = -date.getTimezoneOffset();
  const local = new Date(Math.floor(time) + minutes * 60_000).toISOString();
  const fraction = local.slice(19, 23).replace(/\.?0+$/, '');
  const offset = `${minutes < 0 ? '-' : '+'}${twoDigits(Math.abs(minutes) / 60)}${twoDigits(Math.abs(minutes) % 60)}`;
  return `${local.slice(0, 10)} ${local.slice(11, 19)}${fraction} ${offset} ${zoneName(date, offset)}`;
}

function twoDigits(amount: number): string {
  return String(Math.floor(amount)).padStart(2, '0');
}

/** The zone's abbreviation, or its offset where it has none. */
function zoneName(date: Date, offset: string): string {
  const parts = new Intl.DateTimeFormat('en', { timeZoneName: 'short' }).formatToParts(date);
  const name = parts.find(({ type }) => type === 'timeZoneName')?.value;
  return name === undefined || /^GMT./.test(name) ? offset.replace(/00$/, '') : name;
}
