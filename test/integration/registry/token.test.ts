import { execFile, execFileSync } from 'node:child_process';
import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { parseDockerReference } from '../../../src/image/docker-reference.ts';
import { fetchDocker } from '../../../src/image/registry/fetch-docker.ts';
import { openStore, type Store } from '../../../src/image/store.ts';
import { client, makePki, type Pki, withEnvironment } from '../../unit/http/server.ts';
import { makeLayout, ofLayers, RegistryServer } from './peers.ts';

const service = 'the registry of the tests';
const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`;

let made: string;
let pki: Pki;
let tokens: Server;
/** Who asked the token server for what: `me` or nobody, and a scope. */
let asked: string[] = [];
let server: RegistryServer;
let store: Store;

/** A token as docker-registry checks it (distribution: "Docker Registry v2 Bearer token specification"). */
function makeToken(scope: string, actions: readonly string[]): string {
  const der = new X509Certificate(readFileSync(pki.cert)).raw.toString('base64');
  const now = Math.floor(Date.now() / 1000);
  const [type, name] = scope.split(':');
  const claims = {
    ...{ iss: 'tests', sub: 'me', aud: service, jti: randomUUID() },
    ...{ nbf: now - 10, iat: now, exp: now + 60 },
    access: name === undefined ? [] : [{ type, name, actions }],
  };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ typ: 'JWT', alg: 'ES256', x5c: [der] })}.${part(claims)}`;
  const key = createPrivateKey(readFileSync(pki.key));
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

beforeAll(async () => {
  made = mkdtempSync(join(tmpdir(), 'rkt-token-'));
  pki = makePki(join(made, 'pki'));
  const tls = { cert: readFileSync(pki.cert), key: readFileSync(pki.key) };
  tokens = createServer(tls, ({ url = '', headers }, response) => {
    const scope = new URL(url, 'https://h').searchParams.get('scope') ?? '';
    const known = headers.authorization === basic;
    asked.push(`${known ? 'me' : 'nobody'} ${scope}`);
    if (headers.authorization !== undefined && !known) response.writeHead(401).end('{}');
    else {
      const mine = known ? ['pull', 'push'] : scope.startsWith('repository:open/') ? ['pull'] : [];
      response.end(JSON.stringify({ token: makeToken(scope, mine), expires_in: 60 }));
    }
  });
  await new Promise<void>((resolve) => tokens.listen(0, '127.0.0.1', resolve));
  const address = tokens.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  server = await RegistryServer.start({
    auth: () => ({
      token: {
        realm: `https://127.0.0.1:${address.port}/token`,
        ...{ service, issuer: 'tests', rootcertbundle: pki.ca },
      },
    }),
  });
  const layout = makeLayout(made);
  for (const name of ['open/app:v1', 'closed/app:v1']) await pushed(`oci:${layout}:v1`, name);
});
afterAll(async () => {
  await server.stop();
  tokens.closeAllConnections();
  tokens.close();
  rmSync(made, { recursive: true, force: true });
});

/** Not by `server.push`: the token server answers in this process, which must not be blocked. */
async function pushed(from: string, name: string): Promise<void> {
  const insecure = ['--dest-tls-verify=false', '--dest-creds=me:secret'];
  await promisify(execFile)('skopeo', [
    ...['copy', '-q', ...insecure],
    ...[from, `docker://${server.host}/${name}`],
  ]);
}

function fetch(name: string, known: boolean) {
  const scratch = mkdtempSync(join(tmpdir(), 'rkt-token-store-'));
  onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
  const both = join(scratch, 'cas.pem');
  writeFileSync(both, execFileSync('cat', [pki.ca, server.pki.ca]));
  const none = { REGISTRY_AUTH_FILE: undefined, DOCKER_CONFIG: undefined };
  withEnvironment({ ...none, NODE_EXTRA_CA_CERTS: both, HOME: scratch, XDG_RUNTIME_DIR: scratch });
  store = openStore(join(scratch, 'data'));
  asked = [];
  return fetchDocker(store, parseDockerReference(`${server.host}/${name}`), {
    client: client({ insecure: { tls: false, http: false } }),
    pullPolicy: 'new',
    insecure: { image: true },
    warn: () => {},
    dockerAuth: new Map(known ? [[server.host, { user: 'me', password: 'secret' }]] : []),
  });
}

test('a real registry takes the token of its token server, for all that an image needs', async () => {
  expect(ofLayers(await fetch('closed/app:v1', true))).toHaveLength(4);
  expect(asked).toEqual(['me repository:closed/app:pull']);
});

test('a token for nobody is enough for an open repository', async () => {
  expect(ofLayers(await fetch('open/app:v1', false))).toHaveLength(4);
  expect(asked).toEqual(['nobody repository:open/app:pull']);
});

test('a token for nobody is not enough for a closed one', async () => {
  await expect(fetch('closed/app:v1', false)).rejects.toMatchObject({
    status: 401,
    message: expect.stringContaining('needs credentials'),
  });
  expect(store.list()).toEqual([]);
});
