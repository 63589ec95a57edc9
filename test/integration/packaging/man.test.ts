import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../../../src/cli/table.ts';
import { API } from '../../../src/service/api.generated.ts';
import { run, scratchFolder } from './build.ts';

const folder = join(scratchFolder(), 'man');
const checkout = fileURLToPath(new URL('../../..', import.meta.url));

beforeAll(async () => {
  await run('node', ['packaging/man.mjs', folder], { cwd: checkout });
});

/** A page as a reader sees it, in lines that are never broken. */
async function shown(file: string): Promise<string> {
  const args = ['-man', '-Tascii', '-P-cbou', '-rLL=2000n', join(folder, file)];
  return (await run('groff', args)).stdout;
}

test('groff has nothing to say of any page', async () => {
  for (const file of readdirSync(folder)) {
    const { stderr } = await run('groff', ['-man', '-ww', '-z', '-Tutf8', join(folder, file)]);
    expect({ file, stderr }).toEqual({ file, stderr: '' });
  }
});

test('every command has a page, and rkt(1) names it', async () => {
  const overview = await shown('rkt.1');
  for (const { path, hidden } of commands) {
    if (hidden) continue;
    const name = `rkt-${path.replaceAll(' ', '-')}`;
    expect(readdirSync(folder)).toContain(`${name}.1`);
    expect(overview).toContain(`${name}(1)`);
  }
});

test('every page that a page, a unit or a text of rkt names is there', () => {
  const units = readdirSync(join(checkout, 'units'), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => join(checkout, 'units', name));
  const pages = readdirSync(folder).map((file) => join(folder, file));
  const named = [...units, ...pages].flatMap((file) => {
    const text = readFileSync(file, 'utf8')
      .replaceAll('\\-', '-')
      .replaceAll(/ \((\d)\)/g, '($1)');
    return [...text.matchAll(/\b(rkt(?:-[a-z-]+)?|io\.rkt\.Rkt1)\(([1-8])\)/g)];
  });
  expect(named.length).toBeGreaterThan(50);
  const missing = named.filter(
    ([, name, number]) => !pages.includes(join(folder, `${name}.${number}`)),
  );
  expect(missing.map(([page]) => page)).toEqual([]);
});

describe('io.rkt.Rkt1(5)', () => {
  test.each(API)('describes all of $name', async ({ name, methods, signals, properties }) => {
    const page = await shown('io.rkt.Rkt1.5');
    expect(page).toContain(`INTERFACE ${name}`);
    for (const { name, action } of methods) {
      expect(page).toContain(` ${name}(`);
      if (action) expect(page).toContain(`Needs ${action}`);
    }
    for (const { name } of signals) expect(page).toContain(` ${name}(`);
    for (const { name, type } of properties)
      expect(page.split(/\s/)).toEqual(expect.arrayContaining([type, name]));
  });
});

test('rkt-pod(5) names the keys of a pod file, and no flag that a unit has no use for', async () => {
  const page = await shown('rkt-pod.5');
  for (const key of ['net[=', 'volume=', 'no-overlay=yes', 'image=', 'arg=', 'memory='])
    expect(page).toMatch(new RegExp(`^ +${key.replace('[', '\\[')}`, 'm'));
  expect(page).not.toMatch(/^ +(interactive|detach|uuid-file-save)/m);
});
