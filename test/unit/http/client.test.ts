import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type HttpClient, readText, statusError } from '../../../src/http/client.ts';
import { version } from '../../../src/os/version.ts';
import { client, makePki, type Pki, serve, withEnvironment } from './server.ts';

let folder: string;
let pki: Pki;
let otherPki: Pki;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-pki-'));
  pki = makePki(join(folder, 'one'), ['localhost', 'localhost.localdomain']);
  otherPki = makePki(join(folder, 'other'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Trusts the tests' CA, as an administrator would. */
function trusting(ca = pki.ca): void {
  withEnvironment({ NODE_EXTRA_CA_CERTS: ca, SSL_CERT_FILE: undefined });
}

const password = { type: 'basic', user: 'me', password: 'secret' } as const;
const authOf = (origin: string) => new Map([[new URL(origin).host, password]]);
const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`;

/** A server that answers with its path, and what it was asked. */
async function recording(tls?: Pki): Promise<{ origin: string; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const origin = await serve((request, response) => {
    seen.push(request);
    response.end(request.url);
  }, tls);
  return { origin, seen };
}

describe('a request', () => {
  test('names the program and its version', async () => {
    const { origin, seen } = await recording();
    await client().request(`${origin}/x`);
    expect(seen[0]?.headers['user-agent']).toBe(`rkt/${version}`);
  });

  test('gives status, headers and body, whatever the status', async () => {
    const origin = await serve((_, response) => {
      response.writeHead(418, { 'x-a': '1' }).end('short and stout');
    });
    const answer = await client().request(origin);
    expect([answer.status, answer.header('x-a')]).toEqual([418, '1']);
    expect(await readText(answer, 100)).toBe('short and stout');
  });

  test('of too long a text is refused', async () => {
    const origin = await serve((_, response) => response.end('x'.repeat(101)));
    const answer = await client().request(origin);
    await expect(readText(answer, 100)).rejects.toMatchObject({ code: 'too-large' });
  });

  test('a bad status is told with its number, without the query', async () => {
    const origin = await serve((_, response) => response.writeHead(503).end());
    const answer = await client().request(`${origin}/x?token=secret`);
    expect(statusError(answer)).toMatchObject({
      code: 'status',
      status: 503,
      message: `cannot get ${origin}/x: bad HTTP status code: 503`,
    });
  });

  test('to a closed port says so', async () => {
    await expect(client().request('http://127.0.0.1:1/')).rejects.toMatchObject({
      code: 'unreachable',
      message: 'cannot get http://127.0.0.1:1/: connection refused',
    });
  });

  test.each(['ftp://h/x', 'nonsense', 'https://me:secret@h/x'])('to %s is refused', async (url) => {
    const error: unknown = await client()
      .request(url)
      .catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'bad-url' });
    expect(String(error)).not.toContain('secret');
  });
});

describe('a connection that is kept', () => {
  /** A server that closes a connection on which a second request comes, and what it was asked. */
  async function forgetful(tls?: Pki): Promise<{ origin: string; seen: string[] }> {
    const known = new WeakSet<Socket>();
    const seen: string[] = [];
    const listener: RequestListener = ({ socket, method, url }, response) => {
      seen.push(`${method} ${url}`);
      if (known.has(socket)) socket.destroy();
      else response.end(url);
      known.add(socket);
    };
    return { origin: await serve(listener, tls), seen };
  }
  async function ask(asker: HttpClient, url: string): Promise<string> {
    const text = await readText(await asker.request(url), 100);
    // Then the connection is free for the next request.
    await setImmediate();
    return text;
  }

  test.each(['http', 'https'])('and closed by a server of %s loses no request', async (scheme) => {
    trusting();
    const { origin, seen } = await forgetful(scheme === 'https' ? pki : undefined);
    const asker = client();
    for (const path of ['/1', '/2', '/3']) expect(await ask(asker, origin + path)).toBe(path);
    expect(seen).toEqual(['GET /1', 'GET /2', 'GET /2', 'GET /3']);
  });

  test('and closed by the server, as are all others, loses none of several requests', async () => {
    const { origin, seen } = await forgetful();
    const asker = client();
    const askAll = () => Promise.all(['/1', '/2', '/3'].map((path) => ask(asker, origin + path)));
    await askAll();
    expect(await askAll()).toEqual(['/1', '/2', '/3']);
    expect(seen).toHaveLength(9);
  });

  test('and closed inside an answer has the answer end', async () => {
    const seen: (string | undefined)[] = [];
    const origin = await serve((request, response) => {
      seen.push(request.url);
      response.writeHead(200, { 'content-length': 10 }).write('half', () => response.destroy());
    });
    await expect(ask(client(), `${origin}/half`)).rejects.toMatchObject({ code: 'interrupted' });
    expect(seen).toEqual(['/half']);
  });

  test('and closed has nothing made again that is not safe to be made twice', async () => {
    const { origin, seen } = await forgetful();
    const asker = client();
    await ask(asker, `${origin}/1`);
    const order = asker.request(`${origin}/order`, { method: 'POST', body: 'one' });
    await expect(order).rejects.toMatchObject({ code: 'unreachable' });
    expect(seen).toEqual(['GET /1', 'POST /order']);
  });

  test('and a new one closed as well is an error: a request is made twice at most', async () => {
    const seen: (string | undefined)[] = [];
    const origin = await serve(({ socket, url }) => {
      seen.push(url);
      socket.destroy();
    });
    await expect(client().request(`${origin}/x`)).rejects.toMatchObject({
      code: 'unreachable',
      message: `cannot get ${origin}/x: the server closed the connection`,
    });
    expect(seen).toEqual(['/x', '/x']);
  });
});

describe('plain HTTP', () => {
  const strict = { insecure: { tls: false, http: false } };

  test('is refused, naming the option', async () => {
    await expect(client(strict).request('http://127.0.0.1:1/')).rejects.toMatchObject({
      code: 'insecure',
      message: expect.stringContaining('--insecure-options=http'),
    });
  });

  test('is taken where the user wrote it, also after a redirect', async () => {
    const { origin } = await recording();
    const from = await serve((_, response) =>
      response.writeHead(302, { location: `${origin}/b` }).end(),
    );
    const answer = await client(strict).request(from, { plainHttp: true });
    expect(await readText(answer, 100)).toBe('/b');
  });

  test('is no target for a redirect from HTTPS', async () => {
    trusting();
    const { origin, seen } = await recording();
    const from = await serve(
      (_, response) => response.writeHead(302, { location: origin }).end(),
      pki,
    );
    await expect(client(strict).request(from, { plainHttp: true })).rejects.toMatchObject({
      code: 'insecure',
    });
    expect(seen).toEqual([]);
  });
});

describe('redirects', () => {
  /** Redirects until `/0`. */
  const countdown = () =>
    serve((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end('there');
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    });

  test('are followed ten times', async () => {
    const answer = await client().request(`${await countdown()}/10`);
    expect(answer.url.pathname).toBe('/0');
    expect(await readText(answer, 100)).toBe('there');
  });

  test('are not followed eleven times', async () => {
    await expect(client().request(`${await countdown()}/11`)).rejects.toMatchObject({
      code: 'redirect',
      message: expect.stringContaining('more than 10 redirects'),
    });
  });

  test.each(['ftp://h/x', 'http://me:secret@h/', 'http://['])(
    'to %s are refused',
    async (location) => {
      const origin = await serve((_, response) => response.writeHead(302, { location }).end());
      await expect(client().request(origin)).rejects.toMatchObject({ code: 'redirect' });
    },
  );

  test('of a request with a body are not followed', async () => {
    const origin = await serve((_, response) => response.writeHead(307, { location: '/b' }).end());
    const answer = await client().request(origin, { method: 'POST', body: 'secret' });
    expect(answer.status).toBe(307);
  });
});

describe('certificates', () => {
  test('of an unknown CA are refused, naming the way to trust it', async () => {
    withEnvironment({ NODE_EXTRA_CA_CERTS: undefined, SSL_CERT_FILE: undefined });
    const { origin } = await recording(pki);
    await expect(client().request(origin)).rejects.toMatchObject({
      code: 'tls',
      message: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
    });
  });

  test.each(['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'])('of a CA in %s are taken', async (name) => {
    withEnvironment({ NODE_EXTRA_CA_CERTS: undefined, SSL_CERT_FILE: undefined, [name]: pki.ca });
    const { origin } = await recording(pki);
    expect((await client().request(origin)).status).toBe(200);
  });

  test('of both CAs are taken when both files are named', async () => {
    withEnvironment({ NODE_EXTRA_CA_CERTS: pki.ca, SSL_CERT_FILE: otherPki.ca });
    const [one, other] = [await recording(pki), await recording(otherPki)];
    const asker = client();
    expect((await asker.request(one.origin)).status).toBe(200);
    expect((await asker.request(other.origin)).status).toBe(200);
  });

  test('for another name are refused', async () => {
    trusting();
    const { origin } = await recording(pki);
    const url = origin.replace('127.0.0.1', '[::ffff:127.0.0.1]');
    await expect(client().request(url)).rejects.toMatchObject({ code: 'tls' });
  });

  test('are not checked with --insecure-options=tls', async () => {
    withEnvironment({ NODE_EXTRA_CA_CERTS: undefined });
    const { origin } = await recording(pki);
    const careless = client({ insecure: { tls: true, http: false } });
    expect((await careless.request(origin)).status).toBe(200);
  });

  test('of a file that cannot be read are an error that names it', async () => {
    trusting('/nonexistent.pem');
    await expect(client().request('https://127.0.0.1:1/')).rejects.toMatchObject({
      code: 'tls',
      message: expect.stringMatching(/\/nonexistent\.pem \(NODE_EXTRA_CA_CERTS\)/),
    });
  });
});

describe('credentials', () => {
  test('of the host are sent over HTTPS', async () => {
    trusting();
    const { origin, seen } = await recording(pki);
    await client({ auth: authOf(origin) }).request(origin);
    expect(seen[0]?.headers.authorization).toBe(basic);
  });

  test('of another port of the host are not sent', async () => {
    trusting();
    const { origin, seen } = await recording(pki);
    await client({ auth: authOf('https://127.0.0.1:1') }).request(origin);
    expect(seen[0]?.headers.authorization).toBeUndefined();
  });

  test('with a token are sent as bearer', async () => {
    trusting();
    const { origin, seen } = await recording(pki);
    const auth = new Map([[new URL(origin).host, { type: 'oauth', token: 'abc' } as const]]);
    await client({ auth }).request(origin);
    expect(seen[0]?.headers.authorization).toBe('Bearer abc');
  });

  test('of the request win over those of the host', async () => {
    trusting();
    const { origin, seen } = await recording(pki);
    await client({ auth: authOf(origin) }).request(origin, { authorization: 'Bearer x' });
    expect(seen[0]?.headers.authorization).toBe('Bearer x');
  });

  test('are never sent over plain HTTP', async () => {
    const { origin, seen } = await recording();
    await client({ auth: authOf(origin) }).request(origin, { authorization: 'Bearer x' });
    expect(seen[0]?.headers.authorization).toBeUndefined();
  });

  test('survive a redirect within the origin', async () => {
    trusting();
    const seen: (string | undefined)[] = [];
    const origin = await serve((request, response) => {
      seen.push(request.headers.authorization);
      if (request.url === '/a') response.writeHead(302, { location: '/b' });
      response.end();
    }, pki);
    await client({ auth: authOf(origin) }).request(`${origin}/a`);
    expect(seen).toEqual([basic, basic]);
  });

  test('do not follow a redirect to another port, nor come back', async () => {
    trusting();
    const seen: (string | undefined)[] = [];
    let home = '';
    const away = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(302, { location: `${home}/end` }).end();
    }, pki);
    home = await serve((request, response) => {
      seen.push(request.headers.authorization);
      if (request.url === '/start') response.writeHead(302, { location: away });
      response.end();
    }, pki);
    const auth = new Map([...authOf(home), ...authOf(away)]);
    await client({ auth }).request(`${home}/start`);
    expect(seen).toEqual([basic, undefined, undefined]);
  });
});

describe('a proxy', () => {
  const proxied = (http_proxy: string, no_proxy = '') =>
    withEnvironment({ http_proxy, https_proxy: undefined, no_proxy, NO_PROXY: undefined });

  test('that the environment names is asked', async () => {
    const seen: (string | undefined)[] = [];
    proxied(
      await serve((request, response) => {
        seen.push(request.url);
        response.end('from the proxy');
      }),
    );
    const answer = await client().request('http://example.com/x');
    expect(await readText(answer, 100)).toBe('from the proxy');
    expect(seen).toEqual(['http://example.com/x']);
  });

  test('lets HTTPS through, and sees nothing of it', async () => {
    trusting();
    const { origin, seen } = await recording(pki);
    const { host } = new URL(origin);
    const tunnels: (string | undefined)[] = [];
    const proxy = createServer().on('connect', (request, socket: Duplex) => {
      tunnels.push(request.url);
      const [, port] = host.split(':');
      const server = connect(Number(port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        server.pipe(socket).pipe(server);
      });
      for (const end of [server, socket]) end.on('error', () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void proxy.close());
    const address = proxy.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    withEnvironment({ https_proxy: `http://127.0.0.1:${port}`, no_proxy: '' });
    const url = `https://localhost.localdomain:${host.split(':')[1]}/x`;
    const answer = await client({ auth: authOf(url) }).request(url);
    expect(await readText(answer, 100)).toBe('/x');
    expect(tunnels).toEqual([new URL(url).host]);
    expect(seen[0]?.headers.authorization).toBe(basic);
  });

  test('is not asked for this host', async () => {
    proxied('http://127.0.0.1:1');
    const { origin } = await recording();
    expect((await client().request(origin)).status).toBe(200);
  });

  test('that cannot be reached is an error', async () => {
    proxied('http://127.0.0.1:1');
    await expect(client().request('http://example.com/x')).rejects.toMatchObject({
      code: 'unreachable',
    });
  });
});

test('a server that closes before it answers is told', async () => {
  const origin = await serve((request) => request.socket.destroy());
  await expect(client().request(origin)).rejects.toMatchObject({
    code: 'unreachable',
    message: expect.stringContaining('the server closed the connection'),
  });
});

test('a signal ends a request', async () => {
  const stop = new AbortController();
  const origin = await serve(() => stop.abort());
  await expect(client().request(origin, { signal: stop.signal })).rejects.toMatchObject({
    code: 'unreachable',
  });
});
