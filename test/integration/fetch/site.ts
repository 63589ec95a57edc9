import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect } from 'vitest';
import { type LocalOptions, startLocal } from '../../lib/local.ts';
import type { Result, Running } from '../../lib/running.ts';
import { makePki, type Pki } from '../../unit/http/server.ts';
import { type AciSpec, keyOf, makeAci } from './aci.ts';

/** The hosts of the site; all are 127.0.0.1. */
const hosts = ['example.test', 'other.test'];

/** What the site was asked, as `METHOD URL STATUS`, and some headers of it. */
export interface Asked {
  readonly line: string;
  readonly range: string;
  readonly ifNoneMatch: string;
  readonly authorization: string;
}

/**
 * nginx with TLS, on ports 80 and 443 of a network namespace of its own, where names lead to it; and
 * rkt in that namespace, which trusts its CA. Below a host's root: /fresh/ may be kept for 100 s,
 * /slow/ comes at 200 kB/s, /private/ wants `me:secret`, /moved/PATH is at other.test/PATH, and PAGE is
 * the file PAGE.html.
 */
export class Site {
  readonly local = startLocal();
  #pki: Pki | undefined;
  #pid = '';
  #seen = 0;
  #marker = 0;

  constructor() {
    beforeAll(() => this.#start());
  }

  /** Where a file of a host lies. */
  path(host: string, path: string): string {
    return join(this.local.scratch, 'www', host, path);
  }

  /** Puts an ACI on the site; gives its key. */
  aci(host: string, path: string, spec: AciSpec): string {
    makeAci(this.path(host, path), spec);
    return keyOf(this.path(host, path));
  }

  /** Puts a discovery page there, with `<meta name=… content=…>` tags. */
  page(host: string, path: string, ...tags: readonly (readonly [name: string, content: string])[]) {
    const file = this.path(host, `${path}.html`);
    mkdirSync(dirname(file), { recursive: true });
    const lines = tags.map(([name, content]) => `<meta name="${name}" content="${content}">`);
    writeFileSync(
      file,
      `<!doctype html><html><head>${lines.join('\n')}</head><body></body></html>`,
    );
  }

  /** Starts rkt in the namespace. */
  start(args: readonly string[], options: LocalOptions = {}): Running {
    const env = { NODE_EXTRA_CA_CERTS: this.#pki?.ca ?? '', ...options.env };
    const program = new URL('../../../dist/rkt', import.meta.url).pathname;
    return this.#inside([program, `--dir=${this.local.dir}`, ...args], { ...options, env });
  }

  rkt(args: readonly string[], options: LocalOptions = {}): Promise<Result> {
    return this.start(args, options).done;
  }

  /** Fetches with `--insecure-options=image --quiet --full`; gives the keys. */
  async fetch(...args: string[]): Promise<string[]> {
    const result = await this.insecure('fetch', '--quiet', '--full', ...args);
    expect(result).toMatchObject({ code: 0 });
    return result.stdout.trim().split('\n');
  }

  insecure(...args: string[]): Promise<Result> {
    return this.rkt(['--insecure-options=image', ...args]);
  }

  /** The bytes of unfinished downloads in the store. */
  partialBytes(): number {
    const folder = join(this.local.dir, 'cas/tmp');
    return readdirSync(folder).reduce((sum, name) => {
      const stats = statSync(join(folder, name, 'data'), { throwIfNoEntry: false });
      return sum + (stats?.size ?? 0);
    }, 0);
  }

  /** What was asked since the last call, in order. */
  async asked(): Promise<Asked[]> {
    const marker = `/marker-${this.#marker++}`;
    const get = `require('http').get('http://example.test${marker}', (r) => r.resume())`;
    await this.#inside([process.execPath, '-e', get]).done;
    // One worker: when this request is in the log, those before it are.
    await expect.poll(() => this.#log().some(({ line }) => line.includes(marker))).toBe(true);
    const all = this.#log();
    const asked = all.slice(this.#seen).filter(({ line }) => !line.includes('/marker-'));
    this.#seen = all.length;
    return asked;
  }

  /** The lines of `asked`. */
  async lines(): Promise<string[]> {
    return (await this.asked()).map(({ line }) => line);
  }

  #log(): Asked[] {
    return readFileSync(join(this.local.scratch, 'access.log'), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((text) => {
        const [line = '', range = '', ifNoneMatch = '', authorization = ''] = text.split('|');
        return { line, range, ifNoneMatch, authorization };
      });
  }

  #inside(command: readonly string[], options: LocalOptions = {}): Running {
    const enter = ['--target', this.#pid, '--net', '--mount', '--', ...command];
    return this.local.startProgram('nsenter', enter, options);
  }

  async #start(): Promise<void> {
    const { scratch } = this.local;
    this.#pki = makePki(join(scratch, 'pki'), hosts);
    for (const host of hosts) mkdirSync(this.path(host, ''), { recursive: true });
    writeFileSync(join(scratch, 'hosts'), `127.0.0.1 localhost ${hosts.join(' ')}\n`);
    writeFileSync(join(scratch, 'passwords'), 'me:{PLAIN}secret\n');
    writeFileSync(join(scratch, 'nginx.conf'), configuration(scratch, this.#pki));
    const script =
      'ip link set lo up; mount --bind "$1/hosts" /etc/hosts; nginx -c "$1/nginx.conf"; echo "pid $$"; exec sleep infinity';
    const namespace = ['--net', '--mount', '--', 'sh', '-ec', script, 'sh', scratch];
    const running = this.local.startProgram('unshare', namespace, { timeout: 600_000 });
    running.done.catch(() => {});
    [, this.#pid = ''] = await running.printed(/pid (\d+)\n/);
  }
}

function configuration(folder: string, { cert, key }: Pki): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/nginx-${name};`,
  );
  return `
    user root;
    worker_processes 1;
    pid ${folder}/nginx.pid;
    error_log ${folder}/error.log;
    events {}
    http {
      ${temporary.join(' ')}
      default_type text/html;
      log_format asked escape=none '$request_method $scheme://$host$request_uri $status|$http_range|$http_if_none_match|$http_authorization';
      access_log ${folder}/access.log asked;
      server {
        listen 80;
        listen 443 ssl;
        ssl_certificate ${cert};
        ssl_certificate_key ${key};
        root ${folder}/www/$host;
        location / { try_files $uri $uri.html =404; }
        location /fresh/ { add_header Cache-Control "public, max-age=100"; }
        location /slow/ { limit_rate 200k; }
        location /private/ { auth_basic private; auth_basic_user_file ${folder}/passwords; }
        location /moved/ { rewrite ^/moved/(.*)$ https://other.test/$1 redirect; }
      }
    }`;
}
