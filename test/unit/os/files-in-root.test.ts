import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  makeFolderInRoot,
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

test('a link that has the name of a file, or of what it is made as, is replaced', () => {
  const { root, outside, kept } = places();
  for (const name of ['x', '.x_new']) symlinkSync(join(outside, 'file'), join(root, 'in', name));
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
