import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, expect, test } from 'vitest';
import {
  makeFolderInRoot,
  moveIntoRoot,
  removeInRoot,
  removeTreeInRoot,
  writeInRoot,
} from '../../../src/os/files-in-root.ts';

const scratch = mkdtempSync(join(tmpdir(), 'rkt-in-root-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A root with a folder `in`, and a folder beside it with a file that is not to be touched. */
function places(): { root: string; outside: string; kept: () => void } {
  const root = mkdtempSync(join(scratch, 'root-'));
  const outside = mkdtempSync(join(scratch, 'outside-'));
  mkdirSync(join(root, 'in'));
  writeFileSync(join(outside, 'file'), 'theirs');
  const kept = () => {
    expect(readdirSync(outside)).toEqual(['file']);
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('theirs');
  };
  return { root, outside, kept };
}

test('a file is written whole, over another', () => {
  const { root } = places();
  for (const text of ['one', 'two']) writeInRoot(root, '/in/x', text);
  expect(readFileSync(join(root, 'in/x'), 'utf8')).toBe('two');
  expect(readdirSync(join(root, 'in'))).toEqual(['x']);
});

test('processes that write one file at the same time do not disturb each other', async () => {
  const { root } = places();
  const program = join(root, 'write.mjs');
  symlinkSync(resolve('node_modules'), join(root, 'node_modules'));
  buildSync({
    stdin: {
      contents: `import { writeInRoot } from './src/os/files-in-root.ts';
for (let n = 0; n < 300; n++) writeInRoot(${JSON.stringify(root)}, '/in/x', 'whole');`,
      resolveDir: resolve('.'),
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['koffi'],
    outfile: program,
  });
  const ends = [1, 2, 3].map(async () => {
    const child = spawn(process.execPath, [program], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return (await once(child, 'exit'))[0];
  });
  expect(await Promise.all(ends)).toEqual([0, 0, 0]);
  expect(readFileSync(join(root, 'in/x'), 'utf8')).toBe('whole');
  expect(readdirSync(join(root, 'in'))).toEqual(['x']);
});

test('what cannot be written leaves nothing behind', () => {
  const { root } = places();
  mkdirSync(join(root, 'in/x'));
  expect(() => writeInRoot(root, '/in/x', 'mine')).toThrow();
  expect(readdirSync(join(root, 'in'))).toEqual(['x']);
});

test('what is made has its mode whatever the umask is', () => {
  const { root } = places();
  const umask = process.umask(0o077);
  try {
    writeInRoot(root, '/in/x', 'one');
    makeFolderInRoot(root, '/in/folder');
    makeFolderInRoot(root, '/in/folder/own', 0o700);
  } finally {
    process.umask(umask);
  }
  const mode = (path: string) => statSync(join(root, path)).mode & 0o777;
  expect(['in/x', 'in/folder', 'in/folder/own'].map(mode)).toEqual([0o644, 0o755, 0o700]);
});

test('a folder is moved in, not to where a link leads', () => {
  const { root, outside, kept } = places();
  const source = mkdtempSync(join(scratch, 'source-'));
  writeFileSync(join(source, 'new'), '');
  symlinkSync(outside, join(root, 'in/link'));
  symlinkSync(outside, join(root, 'out'));
  expect(() => moveIntoRoot(source, root, '/in/link')).toThrow('ENOTDIR');
  expect(() => moveIntoRoot(source, root, '/out/new')).toThrow('is not a folder');
  mkdirSync(join(root, 'in/empty'));
  moveIntoRoot(source, root, '/in/empty');
  expect(readdirSync(join(root, 'in/empty'))).toEqual(['new']);
  kept();
});

test('a link that has the name of a file, or of what it is made as, is replaced', () => {
  const { root, outside, kept } = places();
  for (const name of ['x', `.x_${process.pid}_new`])
    symlinkSync(join(outside, 'file'), join(root, 'in', name));
  writeInRoot(root, '/in/x', 'mine');
  expect(lstatSync(join(root, 'in/x')).isFile()).toBe(true);
  kept();
});

test('a link on the way leads where it leads inside', () => {
  const { root, outside, kept } = places();
  symlinkSync(outside, join(root, 'out'));
  symlinkSync('/in', join(root, 'link'));
  expect(() => writeInRoot(root, '/out/file', 'mine')).toThrow('is not a folder');
  expect(() => makeFolderInRoot(root, '/out/new')).toThrow('is not a folder');
  removeInRoot(root, '/out/file');
  removeTreeInRoot(root, '/out/file');
  kept();
  writeInRoot(root, '/link/x', 'mine');
  expect(existsSync(join(root, 'in/x'))).toBe(true);
});

test('what is removed is the link, and of a tree all but what its links lead to', () => {
  const { root, outside, kept } = places();
  symlinkSync(join(outside, 'file'), join(root, 'in/link'));
  removeInRoot(root, '/in/link');
  expect(readdirSync(join(root, 'in'))).toEqual([]);
  symlinkSync(outside, join(root, 'in/folder'));
  removeTreeInRoot(root, '/in');
  expect(readdirSync(root)).toEqual([]);
  kept();
});

test('a folder may be there, and what is removed may be missing', () => {
  const { root } = places();
  makeFolderInRoot(root, '/in');
  removeInRoot(root, '/in/none');
  removeTreeInRoot(root, '/none/none');
  expect(readdirSync(root)).toEqual(['in']);
});
