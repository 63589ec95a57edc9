/** One way in which a server wants to be authorised. */
export interface Challenge {
  /** Lower-case: `bearer`, `basic`. */
  readonly scheme: string;
  /** By lower-case name. */
  readonly parameters: ReadonlyMap<string, string>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const separators = /[\s,]*/y;
const parameter = new RegExp(`(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`, 'y');
const scheme = new RegExp(`(${token})(?=[\\s,]|$)`, 'y');

/**
 * Reads the value of the header `www-authenticate` (RFC 9110, section 11.6.1): any number of
 * challenges, each with any number of parameters in any order, quoted or not. Reading ends at what
 * is no such thing; a credential in place of parameters (`Negotiate abc==`) is passed over.
 */
export function parseChallenges(header: string): Challenge[] {
  const found: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    at += match?.[0].length ?? 0;
    return match;
  };
  for (;;) {
    take(separators);
    const pair = take(parameter);
    if (pair) {
      const [, name = '', quoted, plain = ''] = pair;
      const value = quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1');
      const { parameters } = found.at(-1) ?? { parameters: new Map() };
      if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
      continue;
    }
    const [, name] = take(scheme) ?? [];
    if (name === undefined) return found;
    found.push({ scheme: name.toLowerCase(), parameters: new Map() });
  }
}
