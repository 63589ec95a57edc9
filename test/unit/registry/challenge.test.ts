import { expect, test } from 'vitest';
import { parseChallenges } from '../../../src/image/registry/challenge.ts';

const parse = (header: string) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

const parts = [
  'realm="https://auth.example/token?a=b,c"',
  'service=registry',
  'scope="r:a/b:pull"',
];
const expected = {
  realm: 'https://auth.example/token?a=b,c',
  service: 'registry',
  scope: 'r:a/b:pull',
};

test.each([
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
])('parameters come in any order: %i %i %i', (...order) => {
  const header = `Bearer ${order.map((n) => parts[n]).join(',')}`;
  expect(parse(header)).toEqual([['bearer', expected]]);
});

test('two parameters are enough', () => {
  expect(parse('Bearer realm="https://a/t",service="s"')).toEqual([
    ['bearer', { realm: 'https://a/t', service: 's' }],
  ]);
});

test('a fourth parameter does no harm', () => {
  expect(parse(`Bearer ${parts.join(', ')}, error="insufficient_scope"`)).toEqual([
    ['bearer', { ...expected, error: 'insufficient_scope' }],
  ]);
});

test('scheme and names are told without regard to case', () => {
  expect(parse('BEARER Realm="https://a/t"')).toEqual([['bearer', { realm: 'https://a/t' }]]);
});

test('quoted pairs lose their backslash, and a quoted comma divides nothing', () => {
  expect(parse(String.raw`Basic realm="a \"b\", c\\"`)).toEqual([
    ['basic', { realm: String.raw`a "b", c\ `.trim() }],
  ]);
});

test('several challenges are told apart', () => {
  expect(parse('Basic realm="x", Bearer realm="https://a/t" , service=s, Negotiate')).toEqual([
    ['basic', { realm: 'x' }],
    ['bearer', { realm: 'https://a/t', service: 's' }],
    ['negotiate', {}],
  ]);
});

test('space may stand around the equals sign and between parameters', () => {
  expect(parse('Bearer realm = "https://a/t" ,  service = s')).toEqual([
    ['bearer', { realm: 'https://a/t', service: 's' }],
  ]);
});

test('the first of a repeated parameter counts', () => {
  expect(parse('Bearer realm="https://a/t",realm="https://evil/t"')).toEqual([
    ['bearer', { realm: 'https://a/t' }],
  ]);
});

test.each(['', '   ', '"', '=', 'realm="no scheme'])('nothing comes of %j', (header) => {
  expect(
    parse(header).filter(([, parameters]) => Object.keys(parameters ?? {}).length > 0),
  ).toEqual([]);
});
