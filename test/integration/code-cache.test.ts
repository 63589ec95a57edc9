import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startLocal } from '../lib/local.ts';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const cacheEnding = `.js.${process.version}-${process.arch}`;
const local = startLocal();

/** A copy of the build, whose caches the test may change. */
function copyOfDist(name: string): { program: string; caches: string[] } {
  const folder = join(local.scratch, name);
  cpSync(dist, folder, { recursive: true });
  const lib = join(folder, 'lib');
  const caches = readdirSync(lib).filter((file) => file.endsWith(cacheEnding));
  expect(caches.length).toBeGreaterThan(10);
  return { program: join(folder, 'rkt'), caches: caches.map((file) => join(lib, file)) };
}

async function expectToWork(program: string): Promise<void> {
  const list = await local.startProgram(program, [`--dir=${local.dir}`, 'list']).done;
  expect(list).toMatchObject({ code: 0, stderr: '' });
  expect(list.stdout).toMatch(/^UUID/);
}

test('every pack has compiled code that the Node of the build takes', async () => {
  const program = `
    const { readdirSync, readFileSync } = require('node:fs');
    const { Script } = require('node:vm');
    for (const name of readdirSync('.').filter((name) => name.endsWith('.js'))) {
      const cachedData = readFileSync(name + process.argv[1].slice(3));
      if (new Script(readFileSync(name, 'latin1'), { cachedData }).cachedDataRejected)
        console.log(name);
    }`;
  const args = ['--eval', program, cacheEnding];
  const { code, stdout } = await local.startProgram(process.execPath, args, {
    cwd: join(dist, 'lib'),
  }).done;
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
});

test('packs are plain ASCII, as which they are read', () => {
  for (const name of readdirSync(join(dist, 'lib')).filter((name) => name.endsWith('.js')))
    expect(readFileSync(join(dist, 'lib', name)).every((byte) => byte < 128)).toBe(true);
});

test('a start works without compiled code', async () => {
  const { program, caches } = copyOfDist('without');
  for (const cache of caches) rmSync(cache);
  await expectToWork(program);
});

test('a start works with the compiled code of another version of V8', async () => {
  const { program, caches } = copyOfDist('other');
  for (const cache of caches) {
    const data = readFileSync(cache);
    // Behind the magic number V8 notes its version: a cache says no more than that.
    data.writeUInt32LE(data.readUInt32LE(4) ^ 1, 4);
    writeFileSync(cache, data);
  }
  await expectToWork(program);
});

test('a start works with an empty cache', async () => {
  const { program, caches } = copyOfDist('empty');
  for (const cache of caches) writeFileSync(cache, '');
  await expectToWork(program);
});
