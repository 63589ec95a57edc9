import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { expect, test } from 'vitest';
import { importAci } from '../../../src/image/import-aci.ts';
import { clearLeftovers } from '../../../src/image/remove.ts';
import type { Store } from '../../../src/image/store.ts';
import { scratch } from './scratch.ts';
import { aci, type Member } from './tar-maker.ts';

const repository = join(import.meta.dirname, '../../..');
const KILLS = 20;
const FILES = 300;

/** A program that imports an ACI: `node PROGRAM DATADIR FILE`; it writes a line when it begins. */
function buildImporter(folder: string): string {
  const source = `
    import { importAci } from '${repository}/src/image/import-aci.ts';
    import { openStore } from '${repository}/src/image/store.ts';
    process.stdout.write('begin\\n');
    await importAci(openStore(process.argv[2]), process.argv[3]);
  `;
  const outfile = join(folder, 'importer.mjs');
  buildSync({
    stdin: { contents: source, resolveDir: repository },
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    outfile,
  });
  return outfile;
}

async function start(program: string, store: Store, file: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [program, store.dataDir, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_PATH: join(repository, 'node_modules') },
  });
  if (child.stdout) await once(child.stdout, 'data');
  return child;
}

/** Whatever has its final name must be whole. */
function checkStore(store: Store): void {
  for (const image of store.list()) expect(store.hasTree(image.layers[0] ?? '')).toBe(true);
  for (const id of existsSync(store.path('tree')) ? readdirSync(store.path('tree')) : []) {
    expect(readdirSync(store.treeRoot(id))).toHaveLength(FILES);
    expect(Number(readFileSync(store.path('tree', id, 'size'), 'utf8'))).toBe(FILES * 20_000);
    expect(existsSync(store.blobPath(id))).toBe(true);
  }
}

test(`an import killed at ${KILLS} moments leaves a store that lists clean and a folder that is cleared`, async () => {
  const { store, folder } = scratch();
  const program = buildImporter(folder);
  const member = (run: string, n: number): Member => ({
    name: `rootfs/${n}`,
    content: run.padEnd(20_000, '.'),
  });
  const make = (run: string): string => {
    const path = join(folder, 'a.aci');
    writeFileSync(path, aci(Array.from({ length: FILES }, (_, n) => member(run, n))));
    return path;
  };
  const whole = await start(program, store, make('whole'));
  const begun = performance.now();
  expect(await once(whole, 'close')).toEqual([0, null]);
  let duration = performance.now() - begun;

  let interrupted = 0;
  for (let n = 0; n < KILLS; n++) {
    const child = await start(program, store, make(`run ${n}`));
    const ended = once(child, 'close');
    const started = performance.now();
    const timer = setTimeout(() => child.kill('SIGKILL'), (duration * (n + Math.random())) / KILLS);
    const [, signal] = await ended;
    clearTimeout(timer);
    // A machine that was slow the first time may have become fast.
    if (signal === 'SIGKILL') interrupted++;
    else duration = Math.min(duration, performance.now() - started);
    checkStore(store);
    expect(clearLeftovers(store)).toBeLessThanOrEqual(2);
    expect(readdirSync(store.path('tmp'))).toEqual([]);
  }
  expect(interrupted).toBeGreaterThan(KILLS / 4);
  const last = await importAci(store, make('last'));
  expect(store.list().map((image) => image.key)).toContain(last.key);
}, 600_000);
