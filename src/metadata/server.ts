import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Answer, answer, plain } from './answers.ts';
import { register } from './registration.ts';
import type { Registry } from './registry.ts';

/** Where the servers listen: an inherited descriptor, a path, or a TCP port of the loopback. */
export type Listen =
  | { readonly fd: number }
  | { readonly path: string }
  | { readonly port: number };

export interface ServeOptions {
  readonly registrations: Listen;
  readonly questions: Listen;
  /** Milliseconds without a request after which the service ends; undefined: never. */
  readonly idle: number | undefined;
  readonly log: (line: string) => void;
  /** Ends the service. */
  readonly signal: AbortSignal;
  /** Called when both listen, before anything is read from anybody: gives what to answer from. */
  readonly open: () => Registry;
}

/** More than any manifest has, and than anybody has to sign. */
const MAX_BODY = { registration: 8 << 20, question: 1 << 20 } as const;

/** Every local process may connect: nobody shall keep the others out. */
const MAX_CONNECTIONS = 256;

/** Serves until it is told to end, or nobody asks any more. */
export async function serve(options: ServeOptions): Promise<void> {
  let idle: NodeJS.Timeout | undefined;
  const end = new EventEmitter();
  const ended = once(end, 'end');
  const stir = () => {
    clearTimeout(idle);
    if (options.idle !== undefined) idle = setTimeout(() => end.emit('end'), options.idle);
  };
  const handle = (work: (request: IncomingMessage, registry: Registry) => Promise<Answer>) => {
    const server = createServer(async (request, response) => {
      stir();
      const said = await opened
        .then((registry) => work(request, registry))
        .catch(() => plain(500, 'the service failed'));
      send(response, said);
      options.log(`${request.method} ${withoutToken(request.url ?? '')} ${said.status}`);
    });
    server.maxConnections = MAX_CONNECTIONS;
    return server;
  };
  const servers = [
    handle(async (request, registry) => {
      const body = await bodyOf(request, MAX_BODY.registration);
      if (body === undefined) return TOO_LARGE;
      const url = new URL(request.url ?? '/', 'http://rkt');
      return register(registry, { method: request.method ?? '', url, body });
    }),
    handle(async (request, registry) => {
      const path = pathOf(request.url ?? '/');
      // Who has no token is not read to the end.
      const known = registry.byToken(path.split('/')[1] ?? '') !== undefined;
      const body = known ? await bodyOf(request, MAX_BODY.question) : '';
      if (body === undefined) return TOO_LARGE;
      const flavor = request.headers['metadata-flavor'];
      return answer(registry, {
        method: request.method ?? '',
        path,
        flavor: Array.isArray(flavor) ? flavor[0] : flavor,
        form: new URLSearchParams(body),
      });
    }),
  ] as const;
  options.signal.addEventListener('abort', () => end.emit('end'), { once: true });
  const opened = Promise.all([
    listen(servers[0], options.registrations),
    listen(servers[1], options.questions),
  ]).then(options.open);
  try {
    await opened;
    stir();
    await ended;
  } finally {
    clearTimeout(idle);
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  }
}

function listen(server: Server, where: Listen): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const options = 'port' in where ? { ...where, host: '127.0.0.1' } : where;
    server.listen(options, () => resolve());
  });
}

const TOO_LARGE = plain(400, 'the request is too large, or has no end');

/** Undefined when there is more than `most` bytes, or no end. */
async function bodyOf(request: IncomingMessage, most: number): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of request) {
      size += part.length;
      if (size > most) return undefined;
      parts.push(part);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(parts).toString();
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Metadata-Flavor': 'AppContainer',
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

function pathOf(url: string): string {
  try {
    return decodeURIComponent(new URL(url, 'http://rkt').pathname);
  } catch {
    return '';
  }
}

/** A log must not hand out what it protects. */
function withoutToken(url: string): string {
  const path = pathOf(url).replace(/^\/[^/]*/, (first) => (first === '/pods' ? first : '/TOKEN'));
  return /[^\x20-\x7e]/.test(path) ? '/TOKEN' : path;
}
