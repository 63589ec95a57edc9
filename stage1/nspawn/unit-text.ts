import { existsSync } from 'node:fs';
import { Stage1Error } from '../../src/stage1/error.ts';

export type Setting = readonly [name: string, value: string];

/** A section of a unit file; settings that are undefined are left out. */
export type Section = readonly [name: string, settings: readonly (Setting | undefined)[]];

/**
 * The text of a unit file: systemd.syntax(7). A value is one line whatever an image has put into it:
 * one that would end its line, or go on in the next, is refused, since it could add settings.
 */
export function unitText(sections: readonly Section[]): string {
  return sections
    .map(([name, settings]) => {
      const lines = settings.flatMap((setting) => (setting ? [settingLine(setting)] : []));
      return `[${name}]\n${lines.join('\n')}\n`;
    })
    .join('\n');
}

function settingLine([name, value]: Setting): string {
  if (!/[\0\r\n]|\\$/.test(value)) return `${name}=${value}`;
  throw new Stage1Error(
    'app-setup',
    `cannot run the app: ${name} ${JSON.stringify(value)} does not fit on a line`,
  );
}

/** One word that comes out unchanged, whatever is in it: systemd.service(5), "Command lines". */
export function quoteWord(word: string): string {
  const escaped = word.replace(/[\\"%]|\p{Cc}/gu, (char) => {
    if (char === '%') return '%%';
    if (char === '\\' || char === '"') return `\\${char}`;
    return [...Buffer.from(char)]
      .map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`)
      .join('');
  });
  return `"${escaped}"`;
}

/** A command line whose words reach the program unchanged: the colon turns variables off. */
export function quoteCommand(words: readonly string[]): string {
  return `:${words.map(quoteWord).join(' ')}`;
}

/**
 * A value of BindPaths=: no quotes, since versions of systemd split it before or after unquoting. Those
 * that start services by an executor of their own unquote each path once more.
 */
export function quoteBind(source: string, target: string, executed = hasExecutor): string {
  const part = (path: string) => {
    const told = /["']/.test(path) && executed() ? path.replace(/["']/g, betweenOther) : path;
    return told.replace(/[\\:\s"']/g, '\\$&').replaceAll('%', '%%');
  };
  return `${part(source)}:${part(target)}`;
}

function betweenOther(quote: string): string {
  return quote === '"' ? `'"'` : `"'"`;
}

/** The pod's systemd is the host's. */
function hasExecutor(): boolean {
  return existsSync('/usr/lib/systemd/systemd-executor');
}

/** A value that is not split into words, only expanded. */
export function expandable(text: string): string {
  return text.replaceAll('%', '%%');
}
