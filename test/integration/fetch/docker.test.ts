import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLocal } from '../../lib/local.ts';
import { makeLayout, RegistryServer, run } from '../registry/peers.ts';

const local = startLocal();
let server: RegistryServer;
beforeAll(async () => {
  server = await RegistryServer.start({
    auth(folder) {
      const path = join(folder, 'htpasswd');
      writeFileSync(path, run('htpasswd', '-nbB', 'me', 'secret'));
      return { htpasswd: { realm: 'the tests', path } };
    },
  });
  const layout = makeLayout(local.scratch);
  server.push(`oci:${layout}:v1`, 'team/app:v1', '--dest-creds=me:secret');
  write('auth.d/registry.json', {
    rktKind: 'dockerAuth',
    rktVersion: 'v1',
    registries: [server.host],
    credentials: { user: 'me', password: 'secret' },
  });
});
afterAll(() => server.stop());

const config = () => join(local.scratch, 'config');

function write(path: string, content: object): void {
  const file = join(config(), path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, JSON.stringify(content));
}

function rkt(...args: string[]) {
  const env = { NODE_EXTRA_CA_CERTS: server.pki.ca, HOME: local.scratch };
  return local.rkt([`--local-config=${config()}`, '--system-config=/nonexistent', ...args], {
    env,
  });
}

describe('rkt fetch docker://…', () => {
  const image = () => `docker://${server.host}/team/app:v1`;

  test('is refused where nobody vouches for the image, naming the option', async () => {
    expect(await rkt('fetch', image())).toMatchObject({
      code: 254,
      stdout: '',
      stderr: expect.stringContaining('--insecure-options=image'),
    });
  });

  test('takes it unverified with that option, and with credentials of the configuration', async () => {
    const { code, stdout } = await rkt('--insecure-options=image', 'fetch', image());
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^sha512-[0-9a-f]{32}\n$/)]);
  });

  test('asks policy.json', async () => {
    write('policy.json', { default: [{ type: 'reject' }] });
    expect((await rkt('fetch', image())).code).toBe(254);
    write('policy.json', { default: [{ type: 'insecureAcceptAnything' }] });
    expect(await rkt('fetch', image())).toMatchObject({ code: 0 });
  });
});
