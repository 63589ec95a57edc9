import { expect, test } from 'vitest';
import { metaTags } from '../../../src/image/discovery-page.ts';

const tag = { kind: 'ac-discovery', prefix: 'a.test/x', content: 'https://a.test/{name}' };
const content = 'a.test/x https://a.test/{name}';

test.each([
  ['in the head', `<html><head><meta name="ac-discovery" content="${content}"></head></html>`],
  ['in the body', `<body><p>text<meta name="ac-discovery" content="${content}">`],
  ['that closes itself', `<meta name="ac-discovery" content="${content}"/>`],
  ['with its attributes the other way round', `<meta content="${content}" name="ac-discovery">`],
  ['in capitals, with other quotes', `<META NAME='ac-discovery' CONTENT='${content}'>`],
  [
    'with more space than needed',
    `<meta name="ac-discovery" content="  a.test/x\n https://a.test/{name} ">`,
  ],
  ['with entities', `<meta name="ac-discovery" content="a.test/x https:&#47;&#47;a.test/{name}">`],
  [
    'in a page that is not well-formed',
    `<p><b></p><meta name="ac-discovery" content="${content}"`.concat('><'),
  ],
])('a tag %s is found', (_, html) => {
  expect(metaTags(html)).toEqual([tag]);
});

test('all tags are found, of both kinds, in their order', () => {
  const html = `<meta name="ac-discovery" content="p 1"><meta name="ac-discovery-pubkeys" content="p 2"><meta name="ac-discovery" content="p 3">`;
  expect(metaTags(html)).toEqual([
    { kind: 'ac-discovery', prefix: 'p', content: '1' },
    { kind: 'ac-discovery-pubkeys', prefix: 'p', content: '2' },
    { kind: 'ac-discovery', prefix: 'p', content: '3' },
  ]);
});

test.each([
  ['of another name', `<meta name="viewport" content="${content}">`],
  ['of another element', `<link name="ac-discovery" content="${content}">`],
  ['without a content', '<meta name="ac-discovery">'],
  ['with a prefix alone', '<meta name="ac-discovery" content="a.test/x">'],
  ['with three words', '<meta name="ac-discovery" content="a b c">'],
  ['in a comment', `<!-- <meta name="ac-discovery" content="${content}"> -->`],
  ['in a script', `<script>"<meta name='ac-discovery' content='${content}'>"</script>`],
])('a tag %s does not count', (_, html) => {
  expect(metaTags(html)).toEqual([]);
});
