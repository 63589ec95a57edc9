import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { giveFolder } from '../../../src/os/ownership.ts';

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'rkt-state-'));
});
afterEach(() => rmSync(scratch, { recursive: true }));

test('a folder that is given away is the new owner’s, what links in it lead to is not', () => {
  const [state, foreign] = [join(scratch, 'state'), join(scratch, 'foreign')];
  for (const folder of [state, foreign]) {
    mkdirSync(join(folder, 'pods'), { recursive: true });
    writeFileSync(join(folder, 'pods/file'), '');
  }
  symlinkSync(foreign, join(state, 'pods/folder'));
  symlinkSync(join(foreign, 'pods/file'), join(state, 'pods/link'));
  giveFolder(state, 65_534, 65_534);
  const owner = (path: string) => statSync(path).uid;
  expect([state, join(state, 'pods/file')].map(owner)).toEqual([65_534, 65_534]);
  expect([foreign, join(foreign, 'pods'), join(foreign, 'pods/file')].map(owner)).toEqual([
    0, 0, 0,
  ]);
});

test('a folder that is not there is an error that names it', () => {
  const missing = join(scratch, 'missing');
  expect(() => giveFolder(missing, 0, 0)).toThrow(`cannot change the owner of ${missing}: chown:`);
});
