export type Setting = readonly [name: string, value: string];

/** A section of a unit file; settings that are undefined are left out. */
export type Section = readonly [name: string, settings: readonly (Setting | undefined)[]];

/** The text of a unit file: systemd.syntax(7). */
export function unitText(sections: readonly Section[]): string {
  return sections
    .map(([name, settings]) => {
      const lines = settings.flatMap((setting) => (setting ? [`${setting[0]}=${setting[1]}`] : []));
      return `[${name}]\n${lines.join('\n')}\n`;
    })
    .join('\n');
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

/** A value of BindPaths=: no quotes, since versions of systemd split it before or after unquoting. */
export function quoteBind(source: string, target: string): string {
  const part = (path: string) => path.replace(/[\\:\s"']/g, '\\$&').replaceAll('%', '%%');
  return `${part(source)}:${part(target)}`;
}
