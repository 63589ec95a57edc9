import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  findCredentials,
  type RegistryCredentials,
} from '../../../src/image/registry/credentials.ts';
import { errorChain } from '../../../src/os/error.ts';

let folder: string;
let env: Record<string, string>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-credentials-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  env = { HOME: join(folder, 'home'), XDG_RUNTIME_DIR: join(folder, 'run') };
});

const auth = (user: string) => ({ auth: Buffer.from(`${user}:secret:1`).toString('base64') });

function write(name: string, content: unknown): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function find(
  reference = 'r.example:5000/team/app',
  own: readonly (readonly [string, { user: string; password: string }])[] = [],
): Promise<RegistryCredentials | undefined> {
  const slash = reference.indexOf('/');
  const scope = { registry: reference.slice(0, slash), repository: reference.slice(slash + 1) };
  return findCredentials(scope, new Map(own), env);
}

const docker = 'home/.docker/config.json';
const podman = 'run/containers/auth.json';

describe('the credentials of a registry', () => {
  test('are none where there is no file', async () => {
    expect(await find()).toBeUndefined();
  });

  test('are read from what docker login wrote', async () => {
    const origin = write(docker, { auths: { 'r.example:5000': auth('me') }, psFormat: 'x' });
    expect(await find()).toEqual({ user: 'me', password: 'secret:1', origin });
  });

  test('are read from the folder in DOCKER_CONFIG', async () => {
    write(docker, { auths: { 'r.example:5000': auth('home') } });
    write('elsewhere/config.json', { auths: { 'r.example:5000': auth('elsewhere') } });
    env['DOCKER_CONFIG'] = join(folder, 'elsewhere');
    expect(await find()).toMatchObject({ user: 'elsewhere' });
  });

  test("of rkt's auth.d come first, then REGISTRY_AUTH_FILE, then podman's, then docker's", async () => {
    const found: unknown[] = [];
    const note = async (own?: Parameters<typeof find>[1]) =>
      found.push(await find('r.example:5000/app', own).then((at) => at && 'user' in at && at.user));
    write(docker, { auths: { 'r.example:5000': auth('docker') } });
    await note();
    write(podman, { auths: { 'r.example:5000': auth('podman') } });
    await note();
    env['REGISTRY_AUTH_FILE'] = write('auth', { auths: { 'r.example:5000': auth('named') } });
    await note();
    await note([['r.example:5000', { user: 'rkt', password: 'x' }]]);
    expect(found).toEqual(['docker', 'podman', 'named', 'rkt']);
  });

  test('are those of another file where the first has none for this registry', async () => {
    write(podman, { auths: { 'other.example': auth('other') } });
    write(docker, { auths: { 'r.example:5000': auth('me') } });
    expect(await find()).toMatchObject({ user: 'me' });
  });

  test.each([
    ['r.example:5000/team/app', 'app'],
    ['r.example:5000/team/other', 'team'],
    ['r.example:5000/teams/app', 'host'],
    ['r.example/team/app', undefined],
  ])('for %s are those of the longest key: %s', async (reference, user) => {
    write(podman, {
      auths: {
        'r.example:5000': auth('host'),
        'r.example:5000/team': auth('team'),
        'r.example:5000/team/app': auth('app'),
      },
    });
    const found = await find(reference);
    expect(found && 'user' in found ? found.user : undefined).toBe(user);
  });

  test.each(['https://index.docker.io/v1/', 'docker.io', 'registry-1.docker.io'])(
    'for Docker Hub may stand under %s',
    async (key) => {
      write(docker, { auths: { [key]: auth('hub') } });
      expect(await find('registry-1.docker.io/library/busybox')).toMatchObject({ user: 'hub' });
    },
  );

  test('for Docker Hub may stand under index.docker.io in auth.d', async () => {
    const own = { user: 'hub', password: 'x' };
    expect(
      await find('registry-1.docker.io/library/busybox', [['index.docker.io', own]]),
    ).toMatchObject(own);
  });

  test('may be an identity token', async () => {
    write(docker, { auths: { 'r.example:5000': { ...auth('me'), identitytoken: 'T' } } });
    expect(await find()).toMatchObject({ identityToken: 'T' });
  });
});

describe('a bad file', () => {
  test('that is no JSON is named, without its content', async () => {
    const path = write(docker, '{"auths": secret');
    const error: unknown = await find().catch((thrown) => thrown);
    expect(errorChain(error)).toEqual([`bad registry credentials ${path}: not JSON`]);
  });

  test('is named with the field that is wrong', async () => {
    const path = write(docker, { auths: { 'r.example:5000': { auth: 5 } } });
    await expect(find()).rejects.toMatchObject({
      message: `bad registry credentials ${path}: auths["r.example:5000"].auth: must be a string`,
    });
  });

  test('has an entry that is no user and password', async () => {
    write(docker, { auths: { 'r.example:5000': { auth: 'bm9jb2xvbg==' } } });
    await expect(find()).rejects.toMatchObject({
      message: expect.stringContaining('is not USER:PASSWORD in base64'),
    });
  });

  test('that REGISTRY_AUTH_FILE names must be there', async () => {
    env['REGISTRY_AUTH_FILE'] = join(folder, 'missing');
    await expect(find()).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining('missing, which REGISTRY_AUTH_FILE names'),
    });
  });
});

describe('a credential helper', () => {
  /** A program that answers as the real helpers do, and notes what it was asked. */
  function helper(name: string, script: string): void {
    const path = write(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    const before = process.env['PATH'];
    process.env['PATH'] = `${join(folder, 'bin')}:${before}`;
    onTestFinished(() => {
      process.env['PATH'] = before;
    });
  }
  const answering = `read server; echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"$1 $server\\",\\"Secret\\":\\"s\\"}"`;

  test('is asked for its registry', async () => {
    helper('one', answering);
    write(docker, { credHelpers: { 'r.example:5000': 'one' }, credsStore: 'missing' });
    expect(await find()).toEqual({
      user: 'get r.example:5000',
      password: 's',
      origin: 'docker-credential-one',
    });
  });

  test('keeps all registries as credsStore, whose entries in the file are empty', async () => {
    helper('one', answering);
    write(docker, { auths: { 'r.example:5000': {} }, credsStore: 'one' });
    expect(await find()).toMatchObject({ user: 'get r.example:5000' });
  });

  test('is asked for Docker Hub by the name that docker login uses', async () => {
    helper('one', answering);
    write(docker, { credsStore: 'one' });
    expect(await find('registry-1.docker.io/library/a')).toMatchObject({
      user: 'get https://index.docker.io/v1/',
    });
  });

  test('may have an identity token', async () => {
    helper('one', `cat >/dev/null; echo '{"Username":"<token>","Secret":"T"}'`);
    write(docker, { credsStore: 'one' });
    expect(await find()).toEqual({ identityToken: 'T', origin: 'docker-credential-one' });
  });

  test('may have nothing', async () => {
    helper('one', 'echo "credentials not found in native keychain"; exit 1');
    write(docker, { credsStore: 'one' });
    expect(await find()).toBeUndefined();
  });

  test.each([
    ['echo "no keyring"; exit 3', 'docker-credential-one failed: no keyring'],
    ['cat >/dev/null; exit 3', 'docker-credential-one failed: status 3'],
    ['cat >/dev/null; echo secret', 'an answer that is not in the form'],
  ])('that does %s is told of', async (script, why) => {
    helper('one', script);
    write(docker, { credsStore: 'one' });
    await expect(find()).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringContaining(why),
    });
  });

  test('that is not installed is named', async () => {
    write(docker, { credsStore: 'none-such' });
    await expect(find()).rejects.toMatchObject({
      code: 'missing-program',
      message:
        'cannot get credentials for r.example:5000: docker-credential-none-such is not installed',
    });
  });

  test('is no path', async () => {
    write(docker, { credsStore: '../../bin/sh' });
    await expect(find()).rejects.toMatchObject({
      message: expect.stringContaining('is no name of a program'),
    });
  });
});
