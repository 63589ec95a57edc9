import { describe, expect, test } from 'vitest';
import { quoteBind, quoteCommand, quoteWord, unitText } from '../../../stage1/nspawn/unit-text.ts';

describe('a word of a unit file', () => {
  test.each([
    ['plain', '"plain"'],
    ['', '""'],
    ['two words', '"two words"'],
    ['100%', '"100%%"'],
    ['say "hi"', '"say \\"hi\\""'],
    ["it's", '"it\'s"'],
    ['back\\slash', '"back\\\\slash"'],
    ['line\nbreak', '"line\\x0abreak"'],
    ['tab\t', '"tab\\x09"'],
    ['\u0085', '"\\xc2\\x85"'],
    ['grüß ✓', '"grüß ✓"'],
    ['$HOME', '"$HOME"'],
    [';', '";"'],
  ])('%j is written as %s', (word, text) => {
    expect(quoteWord(word)).toBe(text);
  });
});

test('a command has its variables turned off', () => {
  expect(quoteCommand(['/bin/echo', '$HOME'])).toBe(':"/bin/echo" "$HOME"');
});

test.each([
  ['/a', '/b', '/a:/b'],
  ['/a b', '/c:d', '/a\\ b:/c\\:d'],
  ['/100%', '/q"q', '/100%%:/q\\"q'],
  ['/b\\s', "/it's", "/b\\\\s:/it\\'s"],
])('a bind of %j to %j is written as %s', (source, target, text) => {
  expect(quoteBind(source, target, () => false)).toBe(text);
});

test.each([
  ['/a b', '/c:d', '/a\\ b:/c\\:d'],
  ['/q"q', "/it's", `/q\\'\\"\\'q:/it\\"\\'\\"s`],
])(
  'a bind of %j to %j is written as %s where services have an executor',
  (source, target, text) => {
    expect(quoteBind(source, target, () => true)).toBe(text);
  },
);

test('a unit leaves out the settings that are undefined', () => {
  const text = unitText([
    ['Unit', [['After', 'x'], undefined]],
    ['Service', [['Type', 'exec']]],
  ]);
  expect(text).toBe('[Unit]\nAfter=x\n\n[Service]\nType=exec\n');
});

describe('a value that an image chose', () => {
  const unit = (value: string) => () => unitText([['Service', [['WorkingDirectory', value]]]]);

  test.each(['/\nExecStartPre=+/bin/sh', '/\rRootDirectory=/', '/a\0b', '/a\\'])(
    'cannot end its line: %j',
    (value) => {
      expect(unit(value)).toThrow(/WorkingDirectory .* does not fit on a line/);
    },
  );

  test('cannot make two mounts of one', () => {
    const bind = quoteBind('/rkt/volumes/a', '/x\n/rkt');
    expect(() => unitText([['Service', [['BindPaths', bind]]]])).toThrow(/does not fit/);
  });
});
