import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { expect, onTestFinished, test } from 'vitest';
import { layersOf } from '../../../src/image/closure.ts';
import { collectImages } from '../../../src/image/image-gc.ts';
import { importAci } from '../../../src/image/import-aci.ts';
import { openStore, type Store } from '../../../src/image/store.ts';
import { verifyImage } from '../../../src/image/verify.ts';
import { aciOf, dependsOn, file } from './images.ts';

const repository = join(import.meta.dirname, '../../..');
const ROUNDS = 50;

/** Each works on the store without a pause until it is killed: `node PROGRAM DATADIR WORK FILE...`. */
const source = `
  import { layersOf } from '${repository}/src/image/closure.ts';
  import { collectImages } from '${repository}/src/image/image-gc.ts';
  import { importAci } from '${repository}/src/image/import-aci.ts';
  import { removeImage } from '${repository}/src/image/remove.ts';
  import { openStore } from '${repository}/src/image/store.ts';
  const [dir, work, ...files] = process.argv.slice(2);
  const store = openStore(dir);
  const inUse = { images: new Set(), trees: new Set() };
  const fail = (error) => { throw error; };
  const works = {
    import: () => importAci(store, files[n % files.length]),
    render: async () => {
      const images = [];
      for (const path of files) images.push(await importAci(store, path));
      await layersOf(store, images.at(-1));
    },
    gc: () => collectImages(store, { gracePeriod: n % 200 === 199 ? 0 : 3600_000, inUse }, {
      removed() {}, removedTrees() {}, failed: fail,
    }),
    rm: () => {
      for (const { key } of store.findByName('example.com/a', []))
        removeImage(store, key, () => false);
    },
  };
  process.stdout.write('begin\\n');
  let n = 0;
  for (; ; n++) {
    try {
      await works[work]();
    } catch (error) {
      // Others remove what this one is about to use.
      if (error.code !== 'not-found') {
        console.error(work, error);
        process.exit(3);
      }
    }
    await new Promise(setImmediate);
  }
`;

function start(
  program: string,
  store: Store,
  work: string,
  files: readonly string[],
): ChildProcess {
  return spawn(process.execPath, [program, store.dataDir, work, ...files], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_PATH: join(repository, 'node_modules') },
  });
}

/** Kills the process within so many milliseconds of its work; gives what it complained of. */
async function killed(child: ChildProcess, within: number): Promise<string> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = once(child, 'close');
  if (child.stdout) await Promise.race([once(child.stdout, 'data'), ended]);
  const timer = setTimeout(() => child.kill('SIGKILL'), Math.random() * within);
  await ended;
  clearTimeout(timer);
  return said;
}

/** Whatever has its final name is whole. */
async function check(store: Store): Promise<void> {
  for (const image of store.list())
    expect(await verifyImage(store, image, () => undefined)).toEqual([]);
  for (const id of readdirSync(store.path('tree'))) {
    expect(existsSync(store.treeRoot(id))).toBe(true);
    if (id.startsWith('deps-')) expect(readdirSync(store.treeRoot(id))).toHaveLength(50);
    else expect(Number(readFileSync(store.path('tree', id, 'size'), 'utf8'))).toBe(100 * 5000);
  }
}

test(`${4 * ROUNDS} kills of import, render, gc and rm at once: the store verifies clean after each`, async () => {
  // In memory, where a sync takes no time.
  const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : '/tmp', 'rkt-kill-'));
  onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
  const store = openStore(join(scratch, 'data'));
  mkdirSync(store.dataDir);
  const program = join(scratch, 'work.mjs');
  buildSync({
    stdin: { contents: source, resolveDir: repository },
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    outfile: program,
  });
  const write = (name: string, fields: object): string => {
    const members = Array.from({ length: 100 }, (_, n) =>
      file(String(n), `${name} ${n} `.padEnd(5000, '.')),
    );
    const path = join(scratch, `${name}.aci`);
    writeFileSync(path, aciOf(name, { ...fields }, members));
    return path;
  };
  const pathWhitelist = Array.from({ length: 50 }, (_, n) => `/${n}`);
  const files = ['a', 'b', 'c'].map((name) => write(name, {}));
  const stack = [write('base', {}), write('top', { ...dependsOn('base'), pathWhitelist })];

  let seen = 0;
  let within = 100;
  for (let round = 0; round < ROUNDS; round++) {
    const works: [string, string[]][] = [
      ['import', files],
      ['render', stack],
      ['gc', []],
      ['rm', []],
    ];
    const children = works.map(([work, paths]) => start(program, store, work, paths));
    const said = children.map((child) => killed(child, within));
    expect((await Promise.all(said)).join('')).toBe('');
    store.create();
    await check(store);
    const stored = store.list().length;
    seen += stored;
    // Where the machine is too slow for an image in that time, it gets more.
    if (stored === 0) within = Math.min(within * 1.5, 1500);
  }
  // The checks had something to check.
  expect(seen).toBeGreaterThan(ROUNDS / 3);
  const inUse = { images: new Set<string>(), trees: new Set<string>() };
  const report = {
    removed: () => {},
    removedTrees: () => {},
    failed: (error: unknown) => {
      throw error;
    },
  };
  await Promise.all([...files, ...stack].map((path) => importAci(store, path)));
  expect(store.list()).toHaveLength(5);
  const [top] = store.findByName('example.com/top', []);
  if (top) await layersOf(store, top);
  await check(store);
  collectImages(store, { gracePeriod: -1000, inUse }, report);
  for (const part of ['blob', 'image', 'tree', 'tmp'] as const)
    expect(readdirSync(store.path(part))).toEqual([]);
}, 600_000);
