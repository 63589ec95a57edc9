import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const script = fileURLToPath(new URL('../../lib/summary.mjs', import.meta.url));
const needsVm = 'needs the VM host: systemctl freeze';

interface OneTest {
  name: string;
  status: 'passed' | 'failed' | 'skipped';
  reason?: string;
  message?: string;
}

/** A result of vitest with one file of tests. */
function report(...tests: OneTest[]): object {
  const assertionResults = tests.map(({ name, status, reason, message }) => ({
    fullName: name,
    status,
    failureMessages: message === undefined ? [] : [message],
    meta: reason === undefined ? {} : { skipped: reason },
  }));
  const failed = tests.some(({ status }) => status === 'failed');
  const file = {
    name: '/a.test.ts',
    status: failed ? 'failed' : 'passed',
    message: '',
    assertionResults,
  };
  return { success: !failed, testResults: [file] };
}

/** The last line and the exit status of a summary of reports (objects) and stages (strings). */
function summary(...parts: (object | string)[]): [string, number] {
  const lines = summaryLines(...parts);
  return [lines.at(-2) ?? '', Number(lines.at(-1))];
}

/** Everything that it prints, and its exit status. */
function summaryLines(...parts: (object | string)[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'rkt-summary-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const args = parts.map((part, n) => {
    if (typeof part === 'string') return part;
    const path = join(folder, `${n}.json`);
    writeFileSync(path, JSON.stringify(part));
    return path;
  });
  const shell = ['-c', '"$@"; echo $?', '-', process.execPath, script, ...args];
  return execFileSync('bash', shell).toString().trim().split('\n');
}

test('stages and tests are added up', () => {
  const passes = report({ name: 'a', status: 'passed' }, { name: 'b', status: 'passed' });
  expect(summary('types=0', passes)).toEqual(['3 passed, 0 failed, 0 skipped', 0]);
});

test('a failed test is named at the end with its reason', () => {
  const message = 'Error: expected 1 to be 2\n    at a.test.ts:3:4';
  const lines = summaryLines(report({ name: 'a', status: 'failed', message }));
  expect(lines.slice(0, 3)).toEqual([
    expect.stringMatching(/^FAILED: .*a.test.ts: a$/),
    '    Error: expected 1 to be 2',
    '        at a.test.ts:3:4',
  ]);
});

test('a failed stage or test fails the run', () => {
  expect(summary('types=2', report({ name: 'a', status: 'failed' }))).toEqual([
    '0 passed, 2 failed, 0 skipped',
    1,
  ]);
});

test('a skip for a reason that is not on the list is a failure', () => {
  const skips = report(
    { name: 'a', status: 'skipped', reason: 'no time' },
    { name: 'b', status: 'skipped' },
  );
  expect(summary('types=0', skips)).toEqual(['1 passed, 2 failed, 0 skipped', 1]);
});

test('a test that needs the VM counts by its result there', () => {
  const container = report({ name: 'a', status: 'skipped', reason: needsVm });
  const passed = report({ name: 'a', status: 'passed' });
  const failed = report({ name: 'a', status: 'failed' });
  expect(summary(container, passed)).toEqual(['1 passed, 0 failed, 0 skipped', 0]);
  expect(summary(container, failed)).toEqual(['0 passed, 2 failed, 0 skipped', 1]);
});

test('a test that needs the VM and did not run there is a failure of a full run only', () => {
  const container = report({ name: 'a', status: 'skipped', reason: needsVm });
  expect(summary('types=0', container)).toEqual(['1 passed, 1 failed, 0 skipped', 1]);
  expect(summary('--partial', 'types=0', container)).toEqual(['1 passed, 0 failed, 1 skipped', 0]);
});

test('a file that could not be loaded, and an error outside the tests, are failures', () => {
  const suite = {
    name: '/a.test.ts',
    status: 'failed',
    message: 'no such import',
    assertionResults: [],
  };
  expect(summary({ success: false, testResults: [suite] })[0]).toBe(
    '0 passed, 1 failed, 0 skipped',
  );
  const stray = { ...report({ name: 'a', status: 'passed' }), success: false };
  expect(summary(stray)[0]).toBe('1 passed, 1 failed, 0 skipped');
});

test('vitest without a result, or without a test, is a failure', () => {
  expect(summary('types=0', '/nonexistent.json')[0]).toBe('1 passed, 1 failed, 0 skipped');
  expect(summary('types=0', { success: true, testResults: [] })[1]).toBe(1);
});
