import { AppcError } from './error.ts';

/**
 * Parses JSON text.
 *
 * @param what the document's kind for the message, for example `image manifest`
 * @throws AppcError `syntax` that names line, column and what stands there
 */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const at = findSyntaxError(text);
    const before = text.slice(0, at);
    const line = before.split('\n').length;
    const column = at - before.lastIndexOf('\n');
    const excerpt = text.slice(at).split('\n', 1)[0]?.slice(0, 20) ?? '';
    const found = at >= text.length ? 'the end' : JSON.stringify(excerpt || text.charAt(at));
    throw new AppcError(
      'syntax',
      text.trim() === ''
        ? `bad ${what}: it is empty`
        : `bad ${what}: not JSON at line ${line}, column ${column}: unexpected ${found}`,
      cause,
    );
  }
}

const space = /[ \t\n\r]*/y;
const scalar =
  /(?:"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/uy;

/**
 * The offset at which text stops being JSON: the start of the first token that does not fit.
 * (JSON.parse of Node 20 names no position in half of the cases.)
 */
function findSyntaxError(text: string): number {
  const open: ('{' | '[')[] = [];
  let expect: 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'colon' | 'comma' = 'value';
  let at = 0;
  const skip = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? '';
    at += found.length;
    return found;
  };
  for (;;) {
    skip(space);
    const char = text.charAt(at);
    const top = open.at(-1);
    if (expect === 'colon') {
      if (char !== ':') return at;
      at++;
      expect = 'value';
    } else if (expect === 'comma') {
      if (char === ',' && top !== undefined) expect = top === '{' ? 'key' : 'value';
      else if (char !== '' && char === (top === '{' ? '}' : top === '[' ? ']' : '')) open.pop();
      else return at;
      at++;
    } else if (
      (expect === 'key-or-end' && char === '}') ||
      (expect === 'value-or-end' && char === ']')
    ) {
      open.pop();
      at++;
      expect = 'comma';
    } else if (expect === 'key' || expect === 'key-or-end') {
      if (char !== '"' || skip(scalar) === '') return at;
      expect = 'colon';
    } else if (char === '{' || char === '[') {
      open.push(char);
      at++;
      expect = char === '{' ? 'key-or-end' : 'value-or-end';
    } else {
      if (skip(scalar) === '') return at;
      expect = 'comma';
    }
  }
}
