import { createSecureContext } from 'node:tls';
import type { Dispatcher } from 'undici';
import { errnoOf } from '../os/error.ts';
import { trustRoots } from './trust-roots.ts';

const dialTimeout = 20_000;
const headersTimeout = 120_000;
/** How long a server may be silent inside an answer. */
const bodyTimeout = 60_000;
/** How long one of a host's addresses has before the next is tried. */
const addressTimeout = 2_000;

/** What carries requests. */
export interface Connections {
  request(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData>;
  destroy(): Promise<void>;
}

/**
 * The connections of a process, by way of the proxies that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name.
 * They are kept for later requests.
 *
 * @param verify whether certificates are checked
 */
export async function openConnections(verify: boolean): Promise<Connections> {
  const { EnvHttpProxyAgent } = await import('undici');
  const tls = {
    timeout: dialTimeout,
    autoSelectFamilyAttemptTimeout: addressTimeout,
    ...(verify
      ? { secureContext: createSecureContext({ ca: trustRoots(process.env) }) }
      : { rejectUnauthorized: false }),
  };
  const agent = (pipelining: number) =>
    new EnvHttpProxyAgent({
      connect: tls,
      requestTls: tls,
      proxyTls: tls,
      // Proxies seldom let a tunnel through to a port of plain HTTP.
      proxyTunnel: false,
      noProxy: noProxy(process.env),
      headersTimeout,
      bodyTimeout,
      pipelining,
    });
  const kept = agent(1);
  // Zero: each request has a connection of its own.
  const unkept = agent(0);
  return {
    async request(options) {
      try {
        return await kept.request(options);
      } catch (error) {
        if (!mayBeRepeated(options, error)) throw error;
        return unkept.request(options);
      }
    },
    async destroy() {
      await Promise.all([kept.destroy(), unkept.destroy()]);
    },
  };
}

/**
 * Whether a request is to be made again on a new connection: the server closed this one without an
 * answer, as it does with one that it has kept for long enough, at any time (RFC 9112 section 9.3.1).
 */
function mayBeRepeated({ method, body }: Dispatcher.RequestOptions, error: unknown): boolean {
  const isSafe = (method === 'GET' || method === 'HEAD') && body === undefined;
  return isSafe && ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(errnoOf(error) ?? '');
}

/** This host itself is never asked by way of a proxy. */
function noProxy(env: NodeJS.ProcessEnv): string {
  const given = env['no_proxy'] ?? env['NO_PROXY'] ?? '';
  return given.trim() === '*' ? '*' : `${given},localhost,127.0.0.1,[::1]`;
}
