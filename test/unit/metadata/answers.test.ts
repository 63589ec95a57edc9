import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parsePodManifest } from '../../../src/appc/parse.ts';
import { answer, type Question } from '../../../src/metadata/answers.ts';
import { register } from '../../../src/metadata/registration.ts';
import { Registry } from '../../../src/metadata/registry.ts';

const UUID = '11111111-2222-3333-4444-555555555555';
const OTHER = '66666666-2222-3333-4444-555555555555';
const TOKEN = '0123456789abcdef0123456789abcdef';
const ID = `sha512-${'a'.repeat(64)}`;
const POD = {
  acVersion: '0.8.11',
  acKind: 'PodManifest',
  apps: [
    {
      name: 'web',
      image: { id: ID },
      annotations: [{ name: 'colour', value: 'red' }],
    },
  ],
  annotations: [{ name: 'ip-address', value: '10.1.2.3' }],
};
const IMAGE = {
  acVersion: '0.8.11',
  acKind: 'ImageManifest',
  name: 'example.org/web',
  annotations: [
    { name: 'colour', value: 'blue' },
    { name: 'size', value: 'small' },
  ],
};

let folder: string;
let registry: Registry;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-mds-'));
  registry = new Registry(folder);
  tell('PUT', `/pods/${UUID}?token=${TOKEN}`, POD);
  tell('PUT', `/pods/${UUID}/web`, IMAGE);
});
afterEach(() => rmSync(folder, { recursive: true }));

function tell(method: string, path: string, body: unknown = ''): number {
  const url = new URL(path, 'http://rkt');
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return register(registry, { method, url, body: text }).status;
}

function ask(path: string, more: Partial<Question> = {}, token = TOKEN) {
  return answer(registry, {
    method: 'GET',
    path: `/${token}/acMetadata/v1/${path}`,
    flavor: 'AppContainer',
    form: new URLSearchParams(),
    ...more,
  });
}

const post = (path: string, form: Record<string, string>, token = TOKEN) =>
  ask(path, { method: 'POST', form: new URLSearchParams(form) }, token);

describe('a pod asks', () => {
  test('for its UUID, as text', () => {
    expect(ask('pod/uuid')).toEqual({
      status: 200,
      type: 'text/plain; charset=us-ascii',
      body: UUID,
    });
  });

  test('for its annotations, all or one', () => {
    expect(JSON.parse(ask('pod/annotations').body)).toEqual(POD.annotations);
    expect(ask('pod/annotations/ip-address').body).toBe('10.1.2.3');
    expect(ask('pod/annotations/nothing').status).toBe(404);
    expect(ask('pod/annotations/No Name').status).toBe(400);
  });

  test('for its manifest', () => {
    expect(JSON.parse(ask('pod/manifest').body)).toEqual(
      JSON.parse(JSON.stringify(parsePodManifest(JSON.stringify(POD)))),
    );
  });

  test('for an app’s annotations, the image’s with the app’s over them', () => {
    expect(JSON.parse(ask('apps/web/annotations').body)).toEqual([
      { name: 'colour', value: 'red' },
      { name: 'size', value: 'small' },
    ]);
    expect(ask('apps/web/annotations/colour').body).toBe('red');
  });

  test('for an app’s image', () => {
    expect(ask('apps/web/image/id').body).toBe(ID);
    expect(JSON.parse(ask('apps/web/image/manifest').body)).toMatchObject({ name: IMAGE.name });
    expect(ask('apps/none/image/id').status).toBe(404);
  });

  test('for a signature, which it can have verified', () => {
    const signature = post('pod/hmac/sign', { content: 'hello' }).body;
    expect(Buffer.from(signature, 'base64')).toHaveLength(64);
    const verify = (content: string) =>
      post('pod/hmac/verify', { uuid: UUID, content, signature }).status;
    expect(verify('hello')).toBe(200);
    expect(verify('hellO')).toBe(403);
    expect(post('pod/hmac/sign', {}).status).toBe(400);
    expect(post('pod/hmac/verify', { uuid: 'x', content: '', signature }).status).toBe(400);
  });

  test('with a wrong token, and is told nothing', () => {
    expect(ask('pod/uuid', {}, 'f'.repeat(32)).status).toBe(401);
    expect(post('pod/hmac/verify', { uuid: UUID }, 'f'.repeat(32)).status).toBe(401);
  });

  test.each([undefined, 'Google'])('with the flavor %s, and is told nothing', (flavor) => {
    expect(ask('pod/uuid', { flavor }).status).toBe(403);
  });

  test('for what is not there', () => {
    for (const path of ['', 'pod', 'pod/uuid/more', 'apps/web', 'apps/web/image/id/more'])
      expect(ask(path).status).toBe(404);
    expect(ask('pod/uuid', { method: 'DELETE' }).status).toBe(405);
  });
});

describe('rkt registers', () => {
  test('no pod without a UUID, a token, or a whole manifest', () => {
    expect(tell('PUT', '/pods/x?token=abc', POD)).toBe(400);
    expect(tell('PUT', `/pods/${OTHER}`, POD)).toBe(400);
    expect(tell('PUT', `/pods/${OTHER}?token=${TOKEN}`, '{')).toBe(400);
    expect(tell('PUT', `/pods/${OTHER}/web`, IMAGE)).toBe(404);
    expect(tell('DELETE', `/pods/${OTHER}`)).toBe(404);
  });

  test('a pod away, after which its token is nobody’s', () => {
    expect(tell('DELETE', `/pods/${UUID}`)).toBe(200);
    expect(ask('pod/uuid').status).toBe(401);
    expect(new Registry(folder).byToken(TOKEN)).toBeUndefined();
  });
});

test('a service that was started again knows its pods, and verifies what it signed', () => {
  const signature = post('pod/hmac/sign', { content: 'hello' }).body;
  registry = new Registry(folder);
  expect(ask('pod/uuid').body).toBe(UUID);
  expect(post('pod/hmac/verify', { uuid: UUID, content: 'hello', signature }).status).toBe(200);
  expect(statSync(join(folder, 'key')).mode & 0o777).toBe(0o600);
});
