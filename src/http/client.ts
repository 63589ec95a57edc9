import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Config } from '../config/index.ts';
import { errnoOf, errorChain } from '../os/error.ts';
import { version } from '../os/version.ts';
import type { Connections } from './connections.ts';
import { HttpError, shownUrl } from './error.ts';

const maxRedirects = 10;

export interface HttpOptions {
  /** Credentials by host, or host:port. */
  readonly auth: Config['auth'];
  /** `tls`: certificates are not checked; `http`: plain HTTP will do. */
  readonly insecure: { readonly tls: boolean; readonly http: boolean };
}

export interface HttpRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST';
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /**
   * `authorization` of the request; without it the configured credentials of the host. Sent over
   * HTTPS only (`insecure.http` does not change that), and to this origin only.
   */
  readonly authorization?: string;
  /** Credentials of the configuration are not sent: somebody else chose the address. */
  readonly anonymous?: boolean;
  /** Plain HTTP is allowed for this URL, since the user wrote it so; a redirect from HTTPS is not. */
  readonly plainHttp?: boolean;
  /** Ends the request, or the answer's body, from outside. */
  readonly signal?: AbortSignal;
}

export interface HttpResponse {
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  readonly status: number;
  /** A header by its lower-case name; several of one name are joined by commas. */
  header(name: string): string | undefined;
  /** Must be read to its end, or `discard`ed. A failure inside it is an HttpError. */
  readonly body: AsyncIterable<Buffer>;
  discard(): void;
}

/**
 * The project's way to ask servers. Redirects are followed, at most 10, unless the request has a body;
 * whatever status comes then is an answer. A GET or HEAD whose connection the server closed before it
 * answered is made once more. What it opens is opened on the first request.
 */
export class HttpClient {
  readonly #options: HttpOptions;
  #connections: Promise<Connections> | undefined;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /** Whether plain HTTP may be used where the user did not write it: `--insecure-options=http`. */
  get plainHttp(): boolean {
    return this.#options.insecure.http;
  }

  /**
   * @throws HttpError `bad-url`, `insecure`, `unreachable`, `tls`, `redirect`
   */
  async request(address: string | URL, request: HttpRequest = {}): Promise<HttpResponse> {
    const start = parseUrl(address);
    let url = start;
    let plainAllowed = (request.plainHttp ?? false) || this.plainHttp;
    let credentials = true;
    for (let redirects = 0; ; redirects++) {
      if (url.protocol === 'http:' && !plainAllowed)
        throw new HttpError(
          'insecure',
          `cannot get ${shownUrl(url)}: plain HTTP is not allowed (--insecure-options=http allows it)`,
        );
      credentials &&= url.origin === start.origin;
      const response = await this.#send(url, request, credentials);
      const followed = isRedirect(response.status) && request.body === undefined;
      const location = followed ? response.header('location') : undefined;
      if (location === undefined) return response;
      response.discard();
      if (redirects === maxRedirects)
        throw new HttpError(
          'redirect',
          `cannot get ${shownUrl(start)}: more than ${maxRedirects} redirects`,
        );
      plainAllowed = url.protocol === 'http:' || this.plainHttp;
      url = redirectTarget(start, url, location);
    }
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    const connections = this.#connections;
    this.#connections = undefined;
    await connections?.then(
      (opened) => opened.destroy(),
      () => {},
    );
  }

  async #send(url: URL, request: HttpRequest, credentials: boolean): Promise<HttpResponse> {
    const { method = 'GET', body, signal } = request;
    this.#connections ??= import('./connections.ts').then(({ openConnections }) =>
      openConnections(!this.#options.insecure.tls),
    );
    const connections = await this.#connections;
    const authorised = credentials && url.protocol === 'https:';
    try {
      const headers = {
        'user-agent': `rkt/${version}`,
        'accept-encoding': 'identity',
        ...request.headers,
        ...(authorised ? await this.#authorization(url, method, request) : {}),
      };
      const answer = await connections.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers,
        ...(body !== undefined && { body }),
        ...(signal && { signal }),
      });
      return response(url, answer);
    } catch (error) {
      throw sendError(url, error);
    }
  }

  async #authorization(
    url: URL,
    method: string,
    { authorization, anonymous }: HttpRequest,
  ): Promise<Record<string, string>> {
    if (authorization !== undefined) return { authorization };
    if (anonymous) return {};
    const found = this.#options.auth.get(url.host);
    switch (found?.type) {
      case undefined:
        return {};
      case 'basic':
        return { authorization: basicAuthorization(found.user, found.password) };
      case 'oauth':
        return { authorization: `Bearer ${found.token}` };
      case 'aws':
        return (await import('./aws.ts')).signForS3(method, url, found);
    }
  }
}

/** The value of the header `authorization` for a user and password: RFC 7617. */
export function basicAuthorization(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** HttpError `status` for an answer that is no use, which is discarded. */
export function statusError(response: HttpResponse): HttpError {
  response.discard();
  const { status, url } = response;
  return new HttpError(
    'status',
    `cannot get ${shownUrl(url)}: bad HTTP status code: ${status}`,
    undefined,
    status,
  );
}

/**
 * The whole body as text.
 *
 * @throws HttpError `too-large` above `limit` bytes, `interrupted`
 */
export async function readText(response: HttpResponse, limit: number): Promise<string> {
  return (await readBytes(response, limit)).toString('utf8');
}

/** The whole body. Throws as `readText`. */
export async function readBytes(response: HttpResponse, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response.body) {
    size += part.length;
    if (size > limit)
      throw new HttpError(
        'too-large',
        `cannot get ${shownUrl(response.url)}: it has more than ${limit} bytes`,
      );
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function parseUrl(address: string | URL): URL {
  const wrong = (why: string) =>
    new HttpError('bad-url', `cannot get ${JSON.stringify(String(address))}: ${why}`);
  if (!URL.canParse(String(address))) throw wrong('it is no URL');
  const url = new URL(address);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw wrong('it is neither https nor http');
  if (url.username !== '' || url.password !== '') {
    url.username = url.password = '';
    throw new HttpError(
      'bad-url',
      `cannot get ${shownUrl(url)}: credentials in a URL are not taken, put them into auth.d of the configuration`,
    );
  }
  return url;
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

function redirectTarget(start: URL, from: URL, location: string): URL {
  try {
    return parseUrl(new URL(location, from));
  } catch (error) {
    throw new HttpError(
      'redirect',
      `cannot get ${shownUrl(start)}: ${shownUrl(from)} redirects to what is no URL of a web server`,
      error,
    );
  }
}

function response(url: URL, { statusCode, headers, body }: Dispatcher.ResponseData): HttpResponse {
  return {
    url,
    status: statusCode,
    header(name) {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body: readParts(url, body),
    discard() {
      body.dump({ limit: 16_384 }).catch(() => {});
    },
  };
}

async function* readParts(url: URL, body: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const part of body) yield part;
  } catch (error) {
    throw new HttpError(
      'interrupted',
      `cannot get ${shownUrl(url)}: the connection ended before the answer did`,
      error,
    );
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name server does not answer',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the server closed the connection',
  ENETUNREACH: 'the network is unreachable',
  EHOSTUNREACH: 'the host is unreachable',
  ETIMEDOUT: 'no connection in time',
  UND_ERR_CONNECT_TIMEOUT: `no connection in time`,
  UND_ERR_HEADERS_TIMEOUT: 'the server does not answer',
  UND_ERR_SOCKET: 'the server closed the connection',
};

function sendError(url: URL, error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const code = errnoOf(error) ?? '';
  const attempt = `cannot get ${shownUrl(url)}`;
  if (/CERT|TLS|SSL|SIGNATURE|^EPROTO$/.test(code))
    return new HttpError(
      'tls',
      `${attempt}: TLS failed: ${errorChain(error)[0]} (${code}); a CA of your own is named by NODE_EXTRA_CA_CERTS`,
      error,
    );
  return new HttpError(
    'unreachable',
    `${attempt}: ${reasons[code] ?? errorChain(error).at(-1)}`,
    error,
  );
}
