import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { HttpClient, type HttpOptions } from '../../../src/http/client.ts';

/** A folder that goes away with the test. */
export function scratchFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'rkt-http-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A CA of one's own and a certificate from it for these hosts and 127.0.0.1, PEM files. */
export interface Pki {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export function makePki(folder: string, hosts: readonly string[] = ['localhost']): Pki {
  mkdirSync(folder, { recursive: true });
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-subj',
    '/CN=Test CA',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
  );
  openssl(
    'req',
    '-new',
    ...key,
    '-subj',
    '/CN=server',
    '-keyout',
    at('key.pem'),
    '-out',
    at('csr'),
  );
  const names = [...hosts.map((host) => `DNS:${host}`), 'IP:127.0.0.1'];
  writeFileSync(at('extensions'), `subjectAltName=${names.join(',')}\n`);
  openssl(
    ...['x509', '-req', '-in', at('csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
    ...['-CAcreateserial', '-extfile', at('extensions'), '-out', at('cert.pem')],
  );
  return { ca: at('ca.pem'), cert: at('cert.pem'), key: at('key.pem') };
}

/** A server on 127.0.0.1, for faults that a real one does not show; ends with the test. Its origin. */
export async function serve(listener: RequestListener, pki?: Pki): Promise<string> {
  const server: Server = pki
    ? createTlsServer({ cert: readFileSync(pki.cert), key: readFileSync(pki.key) }, listener)
    : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `${pki ? 'https' : 'http'}://127.0.0.1:${address.port}`;
}

/** A client that allows plain HTTP unless told otherwise; ends with the test. */
export function client(options: Partial<HttpOptions> = {}): HttpClient {
  const made = new HttpClient({
    auth: new Map(),
    insecure: { tls: false, http: true },
    ...options,
  });
  onTestFinished(() => made.close());
  return made;
}

/** Runs the test with these environment variables; undefined unsets one. */
export function withEnvironment(variables: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    set(name, value);
    onTestFinished(() => set(name, before));
  }
}

function set(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
