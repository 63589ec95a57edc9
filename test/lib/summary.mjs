// summary.mjs [--partial] RESULT... — adds up a run and prints "N passed, N failed, N skipped".
//
// A RESULT is a file of vitest's JSON reporter, or NAME=STATUS for a stage that is one test. A test
// skipped on one host that passed on another has passed. Any other skip has failed, unless its
// reason is in test/allowed-skips.txt; with --partial (no VM in this run) one that needs the VM
// stays a skip. Exit status 1 when anything failed.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const args = process.argv.slice(2);
const partial = args[0] === '--partial';
if (partial) args.shift();

const allowed = readFileSync(new URL('../allowed-skips.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => new RegExp(`^(?:${line.split(' # ')[0].trim()})$`));
if (partial) allowed.push(/^needs the VM host: /);

const complaints = [];
const skips = new Map();
const passes = new Set();
let [passed, failed, skipped] = [0, 0, 0];

function fail(what) {
  failed++;
  complaints.push(what);
}

/** Why a test has failed, below its name: the end of a log tells it all. */
function reasons(messages = []) {
  const lines = messages.flatMap((message) => message.split('\n').slice(0, 12));
  return lines.map((line) => `\n    ${line}`).join('');
}

function addFile(path) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    return fail(`${path}: vitest left no result: ${error.message}`);
  }
  let broken = 0;
  for (const suite of report.testResults) {
    const file = relative('.', suite.name);
    const before = failed;
    for (const test of suite.assertionResults) {
      const name = `${file}: ${test.fullName.trim()}`;
      if (test.status === 'passed') {
        passed++;
        passes.add(name);
      } else if (test.status === 'failed') fail(`${name}${reasons(test.failureMessages)}`);
      else skips.set(name, test.meta?.skipped ?? 'no reason given');
    }
    // Outside of any test: an import, a hook, a host that did not boot.
    if (suite.status === 'failed' && failed === before) fail(`${file}: ${suite.message}`);
    broken += failed - before;
  }
  if (report.testResults.length === 0) fail(`${path}: no test ran`);
  if (!report.success && broken === 0) fail(`${path}: vitest reports an error outside the tests`);
}

for (const arg of args) {
  const stage = /^([a-z ]+)=(\d+)$/.exec(arg);
  if (!stage) addFile(arg);
  else if (stage[2] === '0') passed++;
  else fail(`${stage[1]} (exit status ${stage[2]})`);
}
for (const [name, reason] of skips) {
  if (passes.has(name)) continue;
  if (!allowed.some((pattern) => pattern.test(reason))) fail(`${name}: skipped: ${reason}`);
  else {
    skipped++;
    console.log(`skipped: ${name}: ${reason}`);
  }
}

for (const complaint of complaints) console.log(`FAILED: ${complaint}`);
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
