import { CliError } from '../error.ts';

export interface Entry {
  readonly key: string;
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface Section {
  readonly name: string;
  readonly line: number;
  readonly entries: readonly Entry[];
}

/** Names a place of a pod file in front of what is wrong there. */
export function fileError(path: string, line: number, why: string, cause?: unknown): CliError {
  return new CliError('input', `${path}:${line}: ${why}`, cause);
}

/**
 * Splits a pod file into sections: systemd.syntax(7), so `#` and `;` begin comments, and a backslash
 * at the end of a line goes on in the next. A value in double quotes is a JSON string.
 *
 * @throws CliError naming file and line
 */
export function parseIni(path: string, text: string): Section[] {
  const sections: (Section & { entries: Entry[] })[] = [];
  for (const { text: line, number } of logicalLines(text)) {
    const [, name] = /^\[(.*)\]$/s.exec(line) ?? [];
    if (name !== undefined) {
      sections.push({ name, line: number, entries: [] });
      continue;
    }
    const equals = line.indexOf('=');
    if (equals < 1) throw fileError(path, number, `"${line}" is neither [SECTION] nor KEY=VALUE`);
    const section = sections.at(-1);
    const key = line.slice(0, equals).trim();
    if (!section) throw fileError(path, number, `${key}: stands before any [SECTION]`);
    const raw = line.slice(equals + 1).trim();
    section.entries.push({ key, value: unquoted(path, number, key, raw), line: number });
  }
  return sections;
}

/** Lines without comments, continued ones joined by a space as systemd does. */
function* logicalLines(text: string): Generator<{ text: string; number: number }> {
  let begun: { text: string; number: number } | undefined;
  for (const [index, physical] of text.split('\n').entries()) {
    const line = physical.trim();
    if (/^[#;]/.test(line) || (!begun && line === '')) continue;
    const joined = begun ? `${begun.text} ${line}` : line;
    const number = begun?.number ?? index + 1;
    begun = joined.endsWith('\\') ? { text: joined.slice(0, -1).trimEnd(), number } : undefined;
    if (!begun) yield { text: joined, number };
  }
  if (begun) yield begun;
}

function unquoted(path: string, line: number, key: string, value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    const parsed: unknown = JSON.parse(value);
    if (typeof parsed === 'string') return parsed;
  } catch {
    // Told below.
  }
  throw fileError(path, line, `${key}: ${value} is not a JSON string`);
}

/** A line that `parseIni` reads as this key and value. */
export function iniLine(key: string, value: string): string {
  const plain = value === value.trim() && !/^"|\\$|[\r\n]/.test(value);
  return `${key}=${plain ? value : quoted(value)}\n`;
}

/** JSON that ends in no backslash and has no line ends is a line's. */
function quoted(value: string): string {
  return JSON.stringify(value);
}
