import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openWorkspace } from '../../../src/image/publish.ts';
import { spawnTar } from '../../../src/image/unpack-sandbox.ts';
import { scratch } from './scratch.ts';
import { archive, type Member } from './tar-maker.ts';

/** Gives tar an archive that no check has seen; returns what it unpacked. */
async function unpackUnchecked(
  members: Member[],
): Promise<{ names: string[]; status: number; outside: string }> {
  const { store, folder } = scratch();
  const work = openWorkspace(store);
  const target = join(work.path, 'tree');
  mkdirSync(target);
  writeFileSync(join(folder, 'victim'), 'untouched');
  const { child, input } = spawnTar(work, target);
  const ended = once(child, 'close');
  child.stderr?.resume();
  writeSync(
    input,
    archive(
      members.map((each) => ({ ...each, linkName: each.linkName?.replace('@', folder) ?? '' })),
    ),
  );
  closeSync(input);
  const [status] = await ended;
  const names = readdirSync(target);
  work.discard();
  expect(readdirSync(folder).sort()).toEqual(['data', 'victim']);
  return { names, status: Number(status), outside: readFileSync(join(folder, 'victim'), 'utf8') };
}

test('what is written through a symlink stays inside', async () => {
  const { outside } = await unpackUnchecked([
    { name: 's', type: '2', linkName: '@' },
    { name: 's/victim', content: 'written' },
    { name: 's/new', content: 'written' },
  ]);
  expect(outside).toBe('untouched');
});

test('the host has no name that a hard link could reach', async () => {
  const { names, outside } = await unpackUnchecked([
    { name: 'h', type: '1', linkName: '@/victim' },
  ]);
  expect([names, outside]).toEqual([[], 'untouched']);
});

test('its /usr is read-only', async () => {
  await unpackUnchecked([
    { name: 's', type: '2', linkName: '/usr' },
    { name: 's/rkt-test-escape', content: 'written' },
  ]);
  expect(existsSync('/usr/rkt-test-escape')).toBe(false);
});

test('tar has only the capabilities that it needs, no new privileges and no other descriptor', async () => {
  const { store } = scratch();
  const work = openWorkspace(store);
  mkdirSync(join(work.path, 'tree'));
  const { child, input } = spawnTar(work, join(work.path, 'tree'));
  const ended = once(child, 'close');
  const proc = `/proc/${child.pid}`;
  while (!readFileSync(`${proc}/comm`, 'utf8').startsWith('tar')) await new Promise(setImmediate);
  const status = readFileSync(`${proc}/status`, 'utf8');
  // chown, dac_override, fowner, fsetid, mknod, setfcap
  const wanted = [0, 1, 3, 4, 27, 31].reduce((set, bit) => set | (1n << BigInt(bit)), 0n);
  for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
    expect(BigInt(`0x${new RegExp(`${set}:\\s*(\\w+)`).exec(status)?.[1]}`)).toBe(wanted);
  expect(status).toMatch(/NoNewPrivs:\s*1/);
  const mounts = readFileSync(`${proc}/mountinfo`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[4]);
  expect(
    mounts.every(
      (path) =>
        path === '/' ||
        path === '/out' ||
        path === '/usr' ||
        path?.startsWith('/usr/') ||
        path?.startsWith('/lib'),
    ),
  ).toBe(true);
  closeSync(input);
  await ended;
  work.discard();
});
