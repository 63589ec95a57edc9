import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { violations } from '../../lib/boundaries.ts';

/** The violations of a tree made of these files. */
function inTree(files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'rkt-boundaries-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return violations(root);
}

test('the sources keep the order of the house', () => {
  expect(violations(fileURLToPath(new URL('../../..', import.meta.url)))).toEqual([]);
});

test.each([
  ['a static import', "import { x } from '../pod/x.ts';"],
  ['a re-export', "export { x } from '../pod/x.ts';"],
  ['a dynamic import', "export const f = () => import('../pod/x.ts');"],
  ['a type import', "import type { X } from '../pod/x.ts';"],
  ['an import type', "export type Y = import('../pod/x.ts').X;"],
])('%s must not point up', (_, text) => {
  expect(inTree({ 'src/os/a.ts': text })).toEqual([
    'src/os/a.ts: import points up, to src/pod/x.ts',
  ]);
});

test('an import may point down, sideways and within its folder', () => {
  const text = "import '../os/x.ts'; import '../config/x.ts'; import './deep/x.ts';";
  expect(inTree({ 'src/appc/a.ts': text })).toEqual([]);
});

test('a test may import anything', () => {
  expect(inTree({ 'test/unit/a.test.ts': "import '../../src/cli/x.ts'; import 'koffi';" })).toEqual(
    [],
  );
});

test('the sources must not import tests', () => {
  expect(inTree({ 'src/os/a.ts': "import '../../test/lib/x.ts';" })).toEqual([
    'src/os/a.ts: imports test/lib/x.ts, outside src and stage1',
  ]);
});

test('a folder without a place in the order is found', () => {
  expect(inTree({ 'src/misc/a.ts': "import '../os/x.ts';" })).toEqual([
    'src/misc/a.ts: src/misc has no place in the order of folders',
  ]);
});

test('folders must not import each other', () => {
  const found = inTree({
    'src/appc/a.ts': "import '../config/x.ts';",
    'src/config/a.ts': "import '../net/x.ts';",
    'src/net/a.ts': "import '../appc/x.ts';",
  });
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(/^folders import each other: (src\/\w+ -> ){3}src\/\w+$/);
});

test('a stage1 image imports the contract and what is below it', () => {
  const text = "import '../../src/stage1/x.ts'; import '../../src/os/x.ts';";
  expect(inTree({ 'stage1/fly/a.ts': text })).toEqual([]);
  expect(inTree({ 'stage1/fly/a.ts': "import '../../src/pod/x.ts';" })).toEqual([
    'stage1/fly/a.ts: a stage1 image may not import src/pod',
  ]);
});

test('a stage1 image is imported by src/pod only', () => {
  const text = "export const f = () => import('../../stage1/fly/x.ts');";
  expect(inTree({ 'src/pod/a.ts': text })).toEqual([]);
  expect(inTree({ 'src/cli/a.ts': text })).toEqual([
    'src/cli/a.ts: only src/pod may import stage1/fly',
  ]);
});

test('a heavy package is imported at the start only in its home', () => {
  const eager = "import { request } from 'undici';";
  expect(inTree({ 'src/http/a.ts': eager })).toEqual([]);
  expect(inTree({ 'src/image/a.ts': eager })).toEqual([
    'src/image/a.ts: imports undici at its start; only src/http may, others with import()',
  ]);
});

test('a heavy package may be loaded when it is needed, or give types', () => {
  const text = `
    import type { Client } from 'undici';
    export const get = async (): Promise<Client> => (await import('undici')).default;
    export const native = () => createRequire(import.meta.url)('koffi');`;
  expect(inTree({ 'src/image/a.ts': text })).toEqual([]);
});

test('a heavy package that is required as the file is loaded is found', () => {
  const text = "const koffi = createRequire(import.meta.url)('koffi');";
  expect(inTree({ 'src/pod/a.ts': text })).toHaveLength(1);
});

test('zod is imported as zod/mini', () => {
  expect(inTree({ 'src/appc/a.ts': "import * as z from 'zod/mini';" })).toEqual([]);
  expect(inTree({ 'src/appc/a.ts': "import { z } from 'zod';" })).toEqual([
    'src/appc/a.ts: imports zod; use zod/mini',
  ]);
});

test('what a quick start loads must not reach a heavy package', () => {
  const found = inTree({
    'src/cli/main.ts': "import { a } from '../appc/a.ts';",
    'src/appc/a.ts': "import * as z from 'zod/mini';",
  });
  expect(found).toEqual(['src/cli/main.ts -> src/appc/a.ts: a quick start loads zod/mini']);
});

test.each([
  ['export default 1;', 'default export'],
  ['export default function f() {}', 'default export'],
  ['const a = 1; export { a as default };', 'default export'],
  ['export const a: any = 1;', 'the type any'],
  ['export const a = [] as any[];', 'the type any'],
])('%s is found', (text, what) => {
  expect(inTree({ 'src/os/a.ts': text })).toEqual([`src/os/a.ts:1: ${what}`]);
});

test.each(['@ts-', 'biome-'])('a comment %signore is found', (tool) => {
  expect(inTree({ 'stage1/fly/a.ts': `// ${tool}ignore\nexport const a = 1;` })).toEqual([
    `stage1/fly/a.ts: ${tool}ignore`,
  ]);
});

test('a function or class that is exported without a docstring is found', () => {
  const text = '/** Does. */\nexport function a() {}\nexport function b() {}\nexport class C {}\n';
  expect(inTree({ 'src/os/a.ts': text, 'test/lib/a.ts': text })).toEqual([
    'src/os/a.ts:3: b is exported without a docstring',
    'src/os/a.ts:4: C is exported without a docstring',
  ]);
});
