import { describe, expect, test } from 'vitest';
import { parseDockerName } from '../../../src/trust/docker-name.ts';
import { identityMatches } from '../../../src/trust/payload.ts';
import {
  dockerScopes,
  parsePolicy,
  pathScopes,
  readPolicy,
  requirementsFor,
  type SignedIdentity,
} from '../../../src/trust/policy.ts';
import { doubledField } from '../../../src/trust/strict-json.ts';
import { TrustScratch } from './scratch.ts';

const reject = [{ type: 'reject' }] as const;
const accept = [{ type: 'insecureAcceptAnything' }] as const;
const signed = { type: 'signedBy', keyType: 'GPGKeys', keyPath: '/k.gpg' } as const;

const parse = (policy: unknown) => parsePolicy(JSON.stringify(policy), '/etc/rkt/policy.json');

test('a policy in the format of containers-policy.json is read', () => {
  const policy = {
    default: reject,
    transports: {
      docker: {
        'docker.io/library': [{ ...signed, signedIdentity: { type: 'matchRepository' } }],
        '': accept,
      },
      'docker-archive': { '': accept },
    },
  };
  expect(parse(policy)).toEqual(policy);
});

test.each([
  ['an unknown field', { default: reject, extra: 1 }, 'unknown field "extra"'],
  ['no default', { transports: {} }, 'default'],
  ['an empty list', { default: [] }, 'at least one requirement'],
  ['an unknown requirement', { default: [{ type: 'hope' }] }, 'default.0'],
  ['a field too many', { default: [{ type: 'reject', why: 'so' }] }, 'unknown field "why"'],
  ['no key', { default: [{ type: 'signedBy', keyType: 'GPGKeys' }] }, 'exactly one of keyPath'],
  ['two kinds of key', { default: [{ ...signed, keyData: 'AAAA' }] }, 'exactly one of keyPath'],
  ['another kind of key', { default: [{ ...signed, keyType: 'X509Certificates' }] }, 'keyType'],
  ['a relative path', { default: [{ ...signed, keyPath: 'k.gpg' }] }, 'absolute path'],
  ['no list of paths', { default: [{ ...signed, keyPath: 3 }] }, 'keyPath'],
  [
    'an unknown identity',
    { default: [{ ...signed, signedIdentity: { type: 'whatever' } }] },
    'signedIdentity',
  ],
  [
    'an identity without its reference',
    { default: [{ ...signed, signedIdentity: { type: 'exactReference' } }] },
    'dockerReference',
  ],
  [
    'a repository with a tag',
    {
      default: [
        { ...signed, signedIdentity: { type: 'exactRepository', dockerRepository: 'a.b/c:1' } },
      ],
    },
    'without tag',
  ],
])('%s refuses the whole file', (_, policy, why) => {
  expect(() => parse(policy)).toThrow(
    expect.objectContaining({
      code: 'bad-policy',
      message: expect.stringMatching(
        new RegExp(`^bad policy /etc/rkt/policy.json: .*${why.replaceAll('.', '\\.')}`),
      ),
    }),
  );
});

test('a doubled field refuses the whole file', () => {
  const text =
    '{"default":[{"type":"reject"}],"transports":{"docker":{"a.b":[{"type":"reject"}],"a.b":[{"type":"insecureAcceptAnything"}]}}}';
  expect(() => parsePolicy(text, 'p')).toThrow(/the field "a.b" stands twice/);
});

test('what is no JSON is refused with its place', () => {
  expect(() => parsePolicy('{"default": [}', 'p')).toThrow(/bad policy p: not JSON at line 1/);
});

test.each([
  ['{"a":1,"b":{"a":2}}', undefined],
  ['{"a":1,"a":2}', 'a'],
  ['{"a":1,"\\u0061":2}', 'a'],
  ['[{"a":1},{"a":2}]', undefined],
  ['{"x":[{"q":{"b":1,"c":[{}],"b":2}}]}', 'b'],
  ['{"a":"a","b":"{\\"a\\":1,\\"a\\":2}"}', undefined],
  ['{"\\"":1,"\\"":2}', '"'],
  ['{"__proto__":1,"__proto__":2}', '__proto__'],
])('the doubled field of %s is %s', (text, found) => {
  expect(doubledField(text)).toBe(found);
});

test("the administrator's policy replaces the vendor's whole", () => {
  const scratch = new TrustScratch();
  expect(readPolicy(scratch.roots)).toBeUndefined();
  scratch.file('sys/policy.json', JSON.stringify({ default: accept }));
  expect(readPolicy(scratch.roots)?.policy.default).toEqual(accept);
  scratch.file('local/policy.json', JSON.stringify({ default: reject }));
  expect(readPolicy(scratch.roots)?.policy.default).toEqual(reject);
});

describe('the requirements for an image', () => {
  const only = (scope: string) => ({
    default: [...reject],
    transports: { docker: { [scope]: [...accept] } },
  });
  const scopes = dockerScopes('h.example.com:5000/team/app:1', 'h.example.com:5000/team/app');
  test.each([
    ['h.example.com:5000/team/app:1', true],
    ['h.example.com:5000/team/app', true],
    ['h.example.com:5000/team', true],
    ['h.example.com:5000', true],
    ['*.example.com:5000', true],
    ['', true],
    ['h.example.com:5000/team/app:2', false],
    ['h.example.com:5000/te', false],
    ['h.example.com', false],
  ])('are those of the scope %s: %s', (scope, applies) => {
    expect(requirementsFor(only(scope), 'docker', scopes)).toEqual(applies ? accept : reject);
  });
  test('are those of the most specific scope', () => {
    const policy = {
      default: [...reject],
      transports: {
        docker: {
          '': [...reject],
          'h.example.com:5000/team': [...accept],
          'h.example.com:5000': [...reject],
        },
      },
    };
    expect(requirementsFor(policy, 'docker', scopes)).toEqual(accept);
  });
  test('are the default for another transport', () => {
    expect(requirementsFor(only(''), 'oci', scopes)).toEqual(reject);
    expect(requirementsFor(only(''), 'constructor', scopes)).toEqual(reject);
  });
});

test('a path is in the scopes of its folders', () => {
  expect(pathScopes('/srv/images/app', '1')).toEqual([
    '/srv/images/app:1',
    '/srv/images/app',
    '/srv/images',
    '/srv',
  ]);
});

test.each([
  ['busybox', 'docker.io/library/busybox'],
  ['team/app', 'docker.io/team/app'],
  ['index.docker.io/library/busybox', 'docker.io/library/busybox'],
  ['localhost/app', 'localhost/app'],
  ['h:5000/a/b', 'h:5000/a/b'],
  ['h:5000/../b:Tag!', undefined],
  ['', undefined],
])('%s in full is %s', (text, name) => {
  expect(parseDockerName(text)?.name).toBe(name);
});

describe('a signed identity', () => {
  const digest = `@sha256:${'0'.repeat(64)}`;
  test.each<[SignedIdentity, string, string, boolean]>([
    [{ type: 'matchExact' }, 'a.b/c:1', 'a.b/c:1', true],
    [{ type: 'matchExact' }, 'a.b/c:1', 'a.b/c:2', false],
    [{ type: 'matchExact' }, 'a.b/c', 'a.b/c', false],
    [{ type: 'matchExact' }, 'a.b/c:1', `a.b/c${digest}`, false],
    [{ type: 'matchRepoDigestOrExact' }, 'a.b/c:1', 'a.b/c:1', true],
    [{ type: 'matchRepoDigestOrExact' }, 'a.b/c:1', 'a.b/c:2', false],
    [{ type: 'matchRepoDigestOrExact' }, 'a.b/c:1', `a.b/c${digest}`, true],
    [{ type: 'matchRepoDigestOrExact' }, 'a.b/d:1', `a.b/c${digest}`, false],
    [{ type: 'matchRepository' }, 'a.b/c:1', 'a.b/c:2', true],
    [{ type: 'matchRepository' }, 'a.b/c:1', 'a.b/cc:1', false],
    [{ type: 'exactReference', dockerReference: 'a.b/c:1' }, 'a.b/c:1', 'x.y/z:9', true],
    [{ type: 'exactReference', dockerReference: 'a.b/c:1' }, 'a.b/c:2', 'a.b/c:2', false],
    [{ type: 'exactRepository', dockerRepository: 'a.b/c' }, 'a.b/c:7', 'x.y/z:9', true],
    [{ type: 'exactRepository', dockerRepository: 'a.b/c' }, 'a.b/d:7', 'a.b/c:7', false],
  ])('%j, signed for %s, asked for %s: %s', (identity, signedFor, asked, matches) => {
    const claimed = parseDockerName(signedFor);
    expect(claimed && identityMatches(identity, claimed, parseDockerName(asked))).toBe(matches);
  });
});
