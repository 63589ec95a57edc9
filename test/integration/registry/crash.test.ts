import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clearLeftovers } from '../../../src/image/remove.ts';
import { openStore, type Store } from '../../../src/image/store.ts';
import { makeLayout, ofLayers, RegistryServer, run } from './peers.ts';

const repository = join(import.meta.dirname, '../../..');
const KILLS = 20;

let folder: string;
let program: string;
let server: RegistryServer;

/** A program that fetches an image: `node PROGRAM DATADIR REFERENCE`; it prints `begin` and the key. */
function buildFetcher(): string {
  const source = `
    import { HttpClient } from '${repository}/src/http/client.ts';
    import { resolveImage } from '${repository}/src/image/resolve.ts';
    import { openStore } from '${repository}/src/image/store.ts';
    const client = new HttpClient({ auth: new Map(), insecure: { tls: false, http: false } });
    process.stdout.write('begin\\n');
    const image = await resolveImage(openStore(process.argv[2]), process.argv[3], {
      client, pullPolicy: 'update', insecure: { image: true }, warn() {},
    });
    process.stdout.write(image.key);
    await client.close();
  `;
  // Beside the packages, so that those that stay outside of the bundle are found.
  const outfile = join(repository, 'node_modules/.cache', `fetcher-${process.pid}.mjs`);
  buildSync({
    stdin: { contents: source, resolveDir: repository },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outfile,
  });
  return outfile;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rkt-registry-crash-'));
  program = buildFetcher();
  server = await RegistryServer.start();
  server.push(`oci:${makeLayout(folder)}:v1`, 'app:v1');
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
  rmSync(program, { force: true });
});

/** Runs the program, and kills it so many milliseconds after it began; if it ended, what it printed and when. */
async function fetch(
  store: Store,
  killAfter?: number,
): Promise<{ key: string; duration: number } | undefined> {
  const args = [program, store.dataDir, `docker://${server.host}/app:v1`];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_EXTRA_CA_CERTS: server.pki.ca, HOME: folder },
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    printed += more;
  });
  const ended = once(child, 'close');
  await once(child.stdout, 'data');
  const begun = performance.now();
  const timer =
    killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
  const [status, signal] = await ended;
  clearTimeout(timer);
  if (signal === 'SIGKILL') return undefined;
  expect(status).toBe(0);
  return { key: printed.replace('begin\n', ''), duration: performance.now() - begun };
}

const contentOf = (store: Store, tree: string) =>
  run('sh', '-ec', 'cd "$0"; find . -printf "%P %y %m %s\n" | sort', store.treeRoot(tree));

test(`a fetch killed at ${KILLS} moments leaves a store that is whole, and the next fetch succeeds`, async () => {
  const good = openStore(join(folder, 'good'));
  const first = await fetch(good);
  const key = first?.key ?? '';
  let duration = first?.duration ?? 0;
  const image = good.get(key);
  expect(ofLayers(image)).toHaveLength(4);

  let killed = 0;
  for (let n = 0; n < KILLS; n++) {
    const store = openStore(join(folder, `store-${n}`));
    const whole = await fetch(store, (duration * (n + Math.random())) / KILLS);
    // A machine that was slow the first time may have become fast.
    if (whole) duration = Math.min(duration, whole.duration);
    else killed++;
    const trees = existsSync(store.path('tree')) ? readdirSync(store.path('tree')) : [];
    for (const tree of trees) {
      expect(image?.layers).toContain(tree);
      expect(contentOf(store, tree)).toBe(contentOf(good, tree));
      expect(existsSync(store.blobPath(tree))).toBe(tree.startsWith('sha256-'));
    }
    for (const { layers } of store.list())
      expect(trees).toEqual(expect.arrayContaining([...layers]));
    expect(await fetch(store)).toMatchObject({ key });
    clearLeftovers(store);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
    expect(store.list().map((one) => one.key)).toEqual([key]);
  }
  expect(killed).toBeGreaterThan(KILLS / 4);
}, 600_000);
