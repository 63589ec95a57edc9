import { expect, test } from 'vitest';
import { AppcError } from '../../../src/appc/index.ts';
import { parseJson } from '../../../src/appc/json.ts';

test.each([
  ['', 'it is empty'],
  [' \n', 'it is empty'],
  ['<html>', 'line 1, column 1: unexpected "<html>"'],
  ['{"a":1,}', 'line 1, column 8: unexpected "}"'],
  ['{"a":1,\n "b": tru }', 'line 2, column 7: unexpected "tru }"'],
  ['{"a" 1}', 'line 1, column 6: unexpected "1}"'],
  ['{', 'line 1, column 2: unexpected the end'],
  ['{"a":[1,2', 'line 1, column 10: unexpected the end'],
  ['[1,]', 'line 1, column 4: unexpected "]"'],
  ['[1}', 'line 1, column 3: unexpected "}"'],
  ['{"a":"x\ny"}', 'line 1, column 6'],
  ['{"a":"\\x"}', 'line 1, column 6'],
  ['01', 'line 1, column 2: unexpected "1"'],
  ['{} {}', 'line 1, column 4: unexpected "{}"'],
  ["{'a':1}", 'line 1, column 2'],
  ['\ufeff{}', 'line 1, column 1'],
])('%j is refused with its place', (text, place) => {
  expect(() => parseJson(text, 'image manifest')).toThrow(AppcError);
  expect(() => parseJson(text, 'image manifest')).toThrow(place);
});

test('a million open brackets are an error and no crash', () => {
  expect(() => parseJson('['.repeat(1_000_000), 'image manifest')).toThrow('column 1000001');
});

test('good JSON comes back as its value', () => {
  expect(parseJson('{"a":[1,"\\u00e4\x7f",null]}', 'x')).toEqual({ a: [1, 'ä\x7f', null] });
});
