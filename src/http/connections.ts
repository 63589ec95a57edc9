import { createSecureContext } from 'node:tls';
import type { Dispatcher } from 'undici';
import { trustRoots } from './trust-roots.ts';

const dialTimeout = 20_000;
const headersTimeout = 120_000;
/** How long a server may be silent inside an answer. */
const bodyTimeout = 60_000;
/** How long one of a host's addresses has before the next is tried. */
const addressTimeout = 2_000;

/**
 * The connections of a process, by way of the proxies that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name.
 *
 * @param verify whether certificates are checked
 */
export async function openConnections(verify: boolean): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = await import('undici');
  const tls = {
    timeout: dialTimeout,
    autoSelectFamilyAttemptTimeout: addressTimeout,
    ...(verify
      ? { secureContext: createSecureContext({ ca: trustRoots(process.env) }) }
      : { rejectUnauthorized: false }),
  };
  return new EnvHttpProxyAgent({
    connect: tls,
    requestTls: tls,
    proxyTls: tls,
    // Proxies seldom let a tunnel through to a port of plain HTTP.
    proxyTunnel: false,
    noProxy: noProxy(process.env),
    headersTimeout,
    bodyTimeout,
  });
}

/** This host itself is never asked by way of a proxy. */
function noProxy(env: NodeJS.ProcessEnv): string {
  const given = env['no_proxy'] ?? env['NO_PROXY'] ?? '';
  return given.trim() === '*' ? '*' : `${given},localhost,127.0.0.1,[::1]`;
}
