import { AppcError } from './error.ts';
import { isEnvironmentName } from './names.ts';
import type { NameValue } from './types.ts';

/**
 * The entries of `--set-env-file` files: a NAME=VALUE per line, nothing quoted or expanded; blank
 * lines and lines that begin with `#` or `;` do not count.
 *
 * @throws AppcError `syntax` naming file and line, `conflict` for a name set twice in all of them
 */
export function parseEnvFiles(files: readonly { path: string; text: string }[]): NameValue[] {
  const seen = new Map<string, string>();
  return files.flatMap(({ path, text }) =>
    parseEnvFile(text, path).map(({ line, ...entry }) => {
      const place = `${path}:${line}`;
      const first = seen.get(entry.name);
      if (first !== undefined)
        throw new AppcError('conflict', `${place}: "${entry.name}" is already set in ${first}`);
      seen.set(entry.name, place);
      return entry;
    }),
  );
}

function parseEnvFile(text: string, path: string): (NameValue & { line: number })[] {
  return text.split(/\r?\n/).flatMap((content, index) => {
    const entry = content.trimStart();
    if (entry === '' || entry.startsWith('#') || entry.startsWith(';')) return [];
    const line = index + 1;
    const wrong = (why: string) =>
      new AppcError('syntax', `${path}:${line}: ${JSON.stringify(content)} ${why}`);
    const at = entry.indexOf('=');
    if (at < 0) throw wrong('has no "=", must be NAME=VALUE');
    const name = entry.slice(0, at);
    if (!isEnvironmentName(name)) throw wrong('does not begin with the name of a variable');
    return [{ name, value: entry.slice(at + 1), line }];
  });
}
