import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { readIfExists } from '../os/files.ts';
import { HttpError } from './error.ts';

/** Where distributions keep the certificates of the system's CAs: Debian, Fedora, SUSE, Alpine. */
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/**
 * The CA certificates that a server's must lead to, PEM: the file in SSL_CERT_FILE, else the
 * system's, else Node's own; and those of the file in NODE_EXTRA_CA_CERTS.
 *
 * @throws HttpError `tls` when a named file can't be read
 */
export function trustRoots(env: NodeJS.ProcessEnv): string[] {
  const { SSL_CERT_FILE: instead, NODE_EXTRA_CA_CERTS: extra } = env;
  return [
    ...(instead ? [named(instead, 'SSL_CERT_FILE')] : systemRoots()),
    ...(extra ? [named(extra, 'NODE_EXTRA_CA_CERTS')] : []),
  ];
}

function systemRoots(): readonly string[] {
  for (const path of systemBundles) {
    const bundle = readIfExists(path);
    if (bundle) return [bundle];
  }
  return rootCertificates;
}

function named(path: string, variable: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new HttpError('tls', `cannot read the CA certificates ${path} (${variable})`, error);
  }
}
