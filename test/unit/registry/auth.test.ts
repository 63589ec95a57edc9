import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Store, StoredImage } from '../../../src/image/store.ts';
import { client, makePki, type Pki, serve } from '../http/server.ts';
import { Content, type FakeRegistry, type Special, serveRegistry } from './fake-registry.ts';
import { expectEmptyStore, fetch as fetchWith, scratchStore, tarOf } from './fetching.ts';

let folder: string;
let pki: Pki;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-pki-'));
  pki = makePki(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const content = new Content();
content.addImage([tarOf('a', 'one'), tarOf('b', 'two')], 'v1');

let store: Store;
beforeEach(() => {
  store = scratchStore({ NODE_EXTRA_CA_CERTS: pki.ca });
});

const secure = { tls: false, http: false };
const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`;

/** Fetches with the credentials of a user, or without any. */
function fetch(host: string, known = true, insecure = secure): Promise<StoredImage> {
  const dockerAuth = new Map(known ? [[host, { user: 'me', password: 'secret' }]] : []);
  return fetchWith(store, `${host}/app:v1`, { dockerAuth }, insecure);
}

interface TokenServer {
  readonly origin: string;
  /** `METHOD URL AUTHORIZATION`. */
  readonly seen: string[];
  readonly bodies: string[];
  answer: (n: number) => object;
  status: number;
}

async function serveTokens(tls = true): Promise<TokenServer> {
  const server: TokenServer = {
    origin: '',
    seen: [],
    bodies: [],
    answer: (n) => ({ token: `T${n}` }),
    status: 200,
  };
  const origin = await serve(
    async (request, response) => {
      const { method, url, headers } = request;
      server.seen.push([method, url, headers.authorization].filter((part) => part).join(' '));
      server.bodies.push(await text(request));
      response.writeHead(server.status).end(JSON.stringify(server.answer(server.seen.length)));
    },
    tls ? pki : undefined,
  );
  return Object.assign(server, { origin });
}

function challenge(response: ServerResponse, header: string | string[]): true {
  response.writeHead(401, { 'www-authenticate': header }).end('{}');
  return true;
}

/** A registry that wants these tokens. */
function wanting(header: string | string[], tokens = ['T1'], special: Special = () => false) {
  return serveRegistry(
    content,
    (request, response) =>
      tokens.some((token) => request.headers.authorization === `Bearer ${token}`)
        ? special(request, response)
        : challenge(response, header),
    pki,
  );
}

const bearer = (realm: string) => `Bearer realm="${realm}/token",service="reg"`;

/** As docker login leaves one. */
function keepIdentityToken(host: string): void {
  const path = join(store.dataDir, '..', 'auth.json');
  writeFileSync(path, JSON.stringify({ auths: { [host]: { identitytoken: 'I' } } }));
  process.env['REGISTRY_AUTH_FILE'] = path;
}

describe('a token', () => {
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  test.each(orders)('is asked for, in whatever order: %i %i %i', async (...order) => {
    const tokens = await serveTokens();
    const parts = [
      `realm="${tokens.origin}/token?a=b"`,
      'service="a, b"',
      'scope="repository:app:pull"',
    ];
    const { host } = await wanting(`Bearer ${order.map((n) => parts[n]).join(',')}, error="x"`);
    await fetch(host, false);
    expect(tokens.seen).toEqual(['GET /token?a=b&service=a%2C+b&scope=repository%3Aapp%3Apull']);
  });

  test('is asked for the repository where the challenge names no scope', async () => {
    const tokens = await serveTokens();
    const { host } = await wanting(bearer(tokens.origin));
    await fetch(host, false);
    expect(tokens.seen).toEqual(['GET /token?service=reg&scope=repository%3Aapp%3Apull']);
  });

  test('is asked for with the credentials, which the registry itself never sees', async () => {
    const tokens = await serveTokens();
    const { host, seen } = await wanting(bearer(tokens.origin));
    await fetch(host);
    expect(tokens.seen).toEqual([`GET /token?service=reg&scope=repository%3Aapp%3Apull ${basic}`]);
    expect(seen.filter((line) => line.includes('Basic'))).toEqual([]);
  });

  test('serves all requests of an image', async () => {
    const tokens = await serveTokens();
    const { host, seen } = await wanting(bearer(tokens.origin));
    await fetch(host);
    expect(tokens.seen).toHaveLength(1);
    expect(seen.slice(1).every((line) => line.endsWith(' Bearer T1'))).toBe(true);
    expect(seen).toHaveLength(5);
  });

  test('that has run out among the layers is got anew, once', async () => {
    const tokens = await serveTokens();
    const accepted = ['T1'];
    let old = 0;
    const { host } = await wanting(bearer(tokens.origin), accepted, ({ url }) => {
      // The first blob is the config; what comes after it are the layers.
      if (url?.includes('/blobs/') && ++old === 1) accepted.splice(0, 1, 'T2');
      return false;
    });
    expect((await fetch(host)).layers).toHaveLength(2);
    expect(tokens.seen).toHaveLength(2);
  });

  test('may be called access_token', async () => {
    const tokens = await serveTokens();
    tokens.answer = () => ({ access_token: 'T1', expires_in: 300 });
    const { host } = await wanting(bearer(tokens.origin));
    expect((await fetch(host)).layers).toHaveLength(2);
  });

  test.each([{}, { token: 5 }, { token: 'a\r\nb: c' }, { token: '' }])(
    'that is none is refused: %j',
    async (answer) => {
      const tokens = await serveTokens();
      tokens.answer = () => answer;
      const { host } = await wanting(bearer(tokens.origin));
      await expect(fetch(host)).rejects.toMatchObject({
        code: 'bad-manifest',
        message: expect.stringContaining('there is no token in it'),
      });
      expectEmptyStore(store);
    },
  );

  test('that the registry does not take is asked for twice and no more', async () => {
    const tokens = await serveTokens();
    const { host } = await wanting(bearer(tokens.origin), ['other']);
    await expect(fetch(host)).rejects.toMatchObject({ status: 401 });
    expect(tokens.seen).toHaveLength(2);
  });

  test('that is denied names the user, the place of the credentials and the server', async () => {
    const tokens = await serveTokens();
    tokens.status = 401;
    const { host } = await wanting(bearer(tokens.origin));
    await expect(fetch(host)).rejects.toMatchObject({
      status: 401,
      message: `cannot get docker://${host}/app:v1: ${new URL(tokens.origin).host} does not accept user "me" from auth.d of the configuration (HTTP status code 401)`,
    });
  });

  test.each(['another server', 'the registry itself'])(
    'of %s: credentials of auth.d for that host go to it only where the registry cannot misuse the token',
    async (server) => {
      const tokens = await serveTokens();
      const own = server === 'the registry itself';
      const registry = await serveRegistry(
        content,
        ({ url, headers }, response) => {
          if (url?.startsWith('/token')) response.end('{"token":"T1"}');
          else if (headers.authorization === 'Bearer T1') return false;
          else challenge(response, bearer(own ? registry.origin : tokens.origin));
          return true;
        },
        pki,
      );
      const { origin } = own ? registry : tokens;
      const known = { type: 'basic', user: 'me', password: 'secret' } as const;
      const { host } = new URL(origin);
      const http = client({ auth: new Map([[host, known]]), insecure: secure });
      await fetchWith(store, `${registry.host}/app:v1`, { client: http });
      const asked = [...registry.seen, ...tokens.seen].filter((line) => line.includes('/token'));
      const query = '/token?service=reg&scope=repository%3Aapp%3Apull';
      expect(asked).toEqual([own ? `GET ${query} ${basic}` : `GET ${query}`]);
    },
  );

  test('is got for an identity token by a form', async () => {
    const tokens = await serveTokens();
    const { host } = await wanting(bearer(tokens.origin));
    keepIdentityToken(host);
    await fetch(host, false);
    expect(tokens.seen).toEqual(['POST /token']);
    expect(tokens.bodies).toEqual([
      'service=reg&scope=repository%3Aapp%3Apull&grant_type=refresh_token&refresh_token=I&client_id=rkt',
    ]);
  });
});

describe('of several challenges', () => {
  test('the one for a token is answered, wherever it stands', async () => {
    const tokens = await serveTokens();
    const { host, seen } = await wanting(['Negotiate', 'Basic realm="x"', bearer(tokens.origin)]);
    await fetch(host);
    expect(seen.filter((line) => line.includes('Basic'))).toEqual([]);
  });

  test('none that is known is an error', async () => {
    const { host } = await wanting('Negotiate');
    await expect(fetch(host)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('asks for negotiate'),
    });
  });
});

describe('a blob that is elsewhere', () => {
  /** A registry that redirects all blobs to another host. */
  async function redirecting(
    elsewhere: (request: IncomingMessage, response: ServerResponse) => void,
    tokens: TokenServer,
  ): Promise<{ registry: FakeRegistry; seen: string[] }> {
    const seen: string[] = [];
    const origin = await serve((request, response) => {
      seen.push(`${request.url} ${request.headers.authorization ?? 'nothing'}`);
      elsewhere(request, response);
    }, pki);
    const registry = await wanting(
      bearer(tokens.origin),
      ['T1', 'T2', 'T3'],
      ({ url }, response) => {
        if (!url?.includes('/blobs/')) return false;
        response.writeHead(307, { location: `${origin}/${url.split('/').at(-1)}?sig=x` }).end();
        return true;
      },
    );
    return { registry, seen };
  }

  test('is fetched without the authorisation of the registry', async () => {
    const tokens = await serveTokens();
    const { registry, seen } = await redirecting(({ url }, response) => {
      response.end(content.blobs.get(url?.slice(1).split('?')[0] ?? ''));
    }, tokens);
    expect((await fetch(registry.host)).layers).toHaveLength(2);
    expect(seen).toHaveLength(3);
    for (const line of seen) expect(line).toMatch(/ nothing$/);
  });

  test('is not given credentials when it asks for them', async () => {
    const tokens = await serveTokens();
    const thief = await serveTokens();
    const { registry } = await redirecting((_, response) => {
      challenge(response, bearer(thief.origin));
    }, tokens);
    await expect(fetch(registry.host)).rejects.toMatchObject({ status: 401 });
    expect(thief.seen).toEqual([]);
  });
});

describe('credentials', () => {
  test('are not given to the host that the registry itself redirects to', async () => {
    const thief = await serveTokens();
    const other = await wanting(bearer(thief.origin));
    const from = await serve(({ url }, response) => {
      response.writeHead(302, { location: `${other.origin}${url}` }).end();
    }, pki);
    await expect(fetch(new URL(from).host)).rejects.toMatchObject({ name: 'HttpError' });
    expect(thief.seen).toEqual([]);
    expect(other.seen).toEqual(['GET /v2/']);
  });

  test('are not sent over plain HTTP, whatever is allowed', async () => {
    const { host, seen } = await serveRegistry(content, (_, response) =>
      challenge(response, 'Basic realm="x"'),
    );
    await expect(fetch(host, true, { tls: false, http: true })).rejects.toMatchObject({
      status: 401,
      message: expect.stringContaining('credentials are not sent over plain HTTP'),
    });
    for (const line of seen) expect(line).not.toContain('Basic');
  });

  test('are not sent to a token server of plain HTTP', async () => {
    const tokens = await serveTokens(false);
    const { host } = await wanting(bearer(tokens.origin));
    await expect(fetch(host)).rejects.toMatchObject({ code: 'insecure' });
    expect(tokens.seen).toEqual([]);
    await fetch(host, true, { tls: false, http: true });
    expect(tokens.seen).toEqual(['GET /token?service=reg&scope=repository%3Aapp%3Apull']);
  });

  test('that are an identity token are not sent to a token server of plain HTTP', async () => {
    const tokens = await serveTokens(false);
    const { host } = await wanting(bearer(tokens.origin));
    keepIdentityToken(host);
    await expect(fetch(host, false, { tls: false, http: true })).rejects.toMatchObject({
      status: 401,
      message: expect.stringContaining('credentials are not sent over plain HTTP'),
    });
    expect(tokens.seen).toEqual([]);
  });

  test('are not asked for where the registry is open', async () => {
    const { host, seen } = await serveRegistry(content, () => false, pki);
    process.env['REGISTRY_AUTH_FILE'] = '/nonexistent';
    expect((await fetch(host, false)).layers).toHaveLength(2);
    expect(seen.filter((line) => / (Basic|Bearer)/.test(line))).toEqual([]);
  });
});
