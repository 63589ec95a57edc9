import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makePki, type Pki } from '../../unit/http/server.ts';

export function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Ports are taken from here, since docker-registry does not say which one it got. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Debian's docker-registry, with the images that skopeo pushed to it. */
export class RegistryServer {
  readonly folder: string;
  readonly host: string;
  readonly pki: Pki;
  readonly #child;
  #log = '';
  #marks = 0;

  private constructor(folder: string, port: number, pki: Pki) {
    this.folder = folder;
    this.host = `127.0.0.1:${port}`;
    this.pki = pki;
    this.#child = spawn('docker-registry', ['serve', join(folder, 'config.json')], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#log += text;
    });
  }

  /** @param auth the part `auth` of the registry's configuration */
  static async start(
    options: { tls?: boolean; auth?: (folder: string, pki: Pki) => object } = {},
  ): Promise<RegistryServer> {
    const folder = mkdtempSync(join(tmpdir(), 'rkt-registry-'));
    const pki = makePki(join(folder, 'pki'));
    const port = await freePort();
    const { tls = true, auth } = options;
    const config = {
      version: '0.1',
      log: { level: 'info', accesslog: { disabled: false } },
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      http: {
        addr: `127.0.0.1:${port}`,
        secret: 'of the tests',
        ...(tls && { tls: { certificate: pki.cert, key: pki.key } }),
      },
      ...(auth && { auth: auth(folder, pki) }),
    };
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
    mkdirSync(join(folder, 'certs'));
    writeFileSync(join(folder, 'certs/ca.crt'), run('cat', pki.ca));
    const server = new RegistryServer(folder, port, pki);
    await server.#listening(port);
    return server;
  }

  /** The requests that were answered: `GET /v2/…`. */
  async requests(): Promise<string[]> {
    const mark = `/v2/mark-${this.#marks++}`;
    run('curl', '-sk', `https://${this.host}${mark}`);
    while (!this.#log.includes(mark)) await once(this.#child.stdout, 'data');
    return [...this.#log.matchAll(/"(GET|HEAD) (\/v2\/\S*)/g)]
      .map(([, method, path]) => `${method} ${path}`)
      .filter((line) => !line.includes('/v2/mark-'));
  }

  async forgetRequests(): Promise<void> {
    await this.requests();
    this.#log = '';
  }

  /** Copies an image by skopeo; `from` as skopeo names it. */
  push(from: string, name: string, ...options: string[]): void {
    run(
      ...(['skopeo', 'copy', '-q', `--dest-cert-dir=${this.folder}/certs`] as const),
      ...options,
      from,
      `docker://${this.host}/${name}`,
    );
  }

  /** Where the bytes of a blob are on the registry's disk. */
  blobPath(digest: string): string {
    const hex = digest.replace('sha256:', '');
    const below = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    return join(this.folder, 'data', below);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill();
      await once(this.#child, 'close');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #listening(port: number): Promise<void> {
    while (this.#child.exitCode === null) {
      const state = run('ss', '-Hltn', `sport = :${port}`);
      if (state !== '') return;
      await delay(20);
    }
    throw new Error(`docker-registry ended: ${this.#log}`);
  }
}

/**
 * A layout with one image `v1` by umoci, whose layers replace, whiteout and opaque-mark each other's
 * files; and a second one, `arm`, for another platform.
 */
export function makeLayout(folder: string): string {
  const layout = join(folder, 'layout');
  const image = `${layout}:v1`;
  const bundle = join(folder, 'bundle');
  const root = join(bundle, 'rootfs');
  const repack = () => run('umoci', 'repack', '--refresh-bundle', '--image', image, bundle);
  run('umoci', 'init', '--layout', layout);
  run('umoci', 'new', '--image', image);
  run('umoci', 'unpack', '--image', image, bundle);
  for (const name of ['kept', 'gone', 'dir/below', 'opaque/old', 'opaque/file/in', 'turned'])
    writeFile(join(root, name), `first ${name}`);
  run('chmod', '4755', join(root, 'kept'));
  run('setfattr', '-n', 'user.a', '-v', 'b', join(root, 'kept'));
  repack();
  writeFile(join(root, 'kept'), 'second kept'.repeat(100_000));
  rmSync(join(root, 'turned'));
  writeFile(join(root, 'turned/into'), 'a folder');
  repack();
  rmSync(join(root, 'gone'));
  rmSync(join(root, 'dir'), { recursive: true });
  repack();
  const opaque = join(folder, 'opaque-layer');
  writeFile(join(opaque, 'opaque/.wh..wh..opq'), '');
  writeFile(join(opaque, 'opaque/file'), 'no folder any more');
  run('tar', '-C', opaque, '-cf', join(folder, 'opaque.tar'), 'opaque');
  run('umoci', 'raw', 'add-layer', '--image', image, join(folder, 'opaque.tar'));
  const config = ['--config.cmd', '/kept', '--os', 'linux'];
  run('umoci', 'config', '--image', image, ...config, '--architecture', 'amd64');
  run('umoci', 'config', '--image', image, '--tag', 'arm', '--architecture', 'arm64');
  return layout;
}

function writeFile(path: string, content: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
}

/** The trees of an image that are a layer each; another one may correct the folders of their stack. */
export function ofLayers(image: { readonly layers: readonly string[] } | undefined): string[] {
  return (image?.layers ?? []).filter((id) => id.startsWith('sha256-'));
}
