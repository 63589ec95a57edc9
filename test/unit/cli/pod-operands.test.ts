import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { podOperands } from '../../../src/cli/pod-operands.ts';
import { contextOf } from './helpers.ts';

it('takes the operands', () => {
  expect(podOperands(contextOf('stop', ['a', 'b']))).toEqual(['a', 'b']);
});

it('trims what stands in the file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rkt-uuid-'));
  writeFileSync(join(folder, 'u'), 'abc\n');
  expect(podOperands(contextOf('stop', [`--uuid-file=${folder}/u`]))).toEqual(['abc']);
  rmSync(folder, { recursive: true });
});

it('refuses both and neither', () => {
  expect(() => podOperands(contextOf('stop', ['a', '--uuid-file=/f']))).toThrow('one of the two');
  expect(() => podOperands(contextOf('stop', []))).toThrow('one of the two');
});

it('ends with the given code when the file cannot be read', () => {
  expect(() => podOperands(contextOf('stop', ['--uuid-file=/nonexistent']), 1)).toThrow(
    expect.objectContaining({ code: 'input', exitCode: 1 }),
  );
});
