import { describe, expect, test } from 'vitest';
import { KeyWatch, parseDetachKeys } from '../../../src/cli/detach-keys.ts';

/** What the app gets of the chunks, and whether they detach. */
function typed(keys: string, ...chunks: string[]): [string, boolean] {
  const watch = new KeyWatch(parseDetachKeys(keys));
  let passed = '';
  for (const chunk of chunks) {
    const { pass, detached } = watch.feed(Buffer.from(chunk, 'latin1'));
    passed += pass.toString('latin1');
    if (detached) return [passed, true];
  }
  return [passed, false];
}

describe('the keys that detach', () => {
  test.each<[string, string, string[], [string, boolean]]>([
    ['end it at once', 'ctrl-p,ctrl-q', ['ab\x10\x11cd'], ['ab', true]],
    ['end it in two chunks', 'ctrl-p,ctrl-q', ['a\x10', '\x11'], ['a', true]],
    ['reach the app when another key follows', 'ctrl-p,ctrl-q', ['\x10', 'x'], ['\x10x', false]],
    ['are held back until then', 'ctrl-p,ctrl-q', ['\x10'], ['', false]],
    ['begin anew within themselves', 'ctrl-p,ctrl-q', ['\x10\x10\x11'], ['\x10', true]],
    ['may repeat', 'a,a,b', ['aaab'], ['a', true]],
    ['may be letters', 'ctrl-a,d', ['\x01d'], ['', true]],
    ['may be none', '', ['\x10\x11'], ['\x10\x11', false]],
  ])('%s', (_, keys, chunks, result) => {
    expect(typed(keys, ...chunks)).toEqual(result);
  });

  test('are refused when they are no keys', () => {
    expect(() => parseDetachKeys('ctrl-')).toThrow(/--detach-keys: "ctrl-"/);
  });
});
