import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { quoteAll, run } from './command.ts';

/** A command to be measured. `prepare` runs before each run of it, unmeasured. */
export interface Subject {
  readonly label: string;
  readonly argv: readonly string[];
  readonly prepare?: readonly string[];
}

/** Milliseconds. `cpu` is the user and system time of a run and its children, on average. */
export interface Timing {
  readonly median: number;
  readonly min: number;
  readonly cpu: number;
}

interface Report {
  readonly results: readonly { times: readonly number[]; user: number; system: number }[];
}

/**
 * Measures commands side by side: each round is one call of hyperfine over all of them, so that
 * what else goes on on the machine meets all alike.
 */
export function measure(
  work: string,
  subjects: readonly Subject[],
  { rounds, runs }: { rounds: number; runs: number },
): Timing[] {
  const file = join(work, 'hyperfine.json');
  const reports = Array.from({ length: rounds }, () => {
    const prepared = subjects.some((subject) => subject.prepare);
    run([
      'hyperfine',
      '--shell=none',
      '--style=none',
      `--warmup=${prepared ? 0 : 1}`,
      `--runs=${runs}`,
      `--export-json=${file}`,
      ...(prepared
        ? subjects.flatMap(({ prepare }) => ['--prepare', quoteAll(prepare ?? ['true'])])
        : []),
      ...subjects.map((subject) => quoteAll(subject.argv)),
    ]);
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  });
  return subjects.map((_, index) => {
    const results = reports.flatMap((report) => report.results[index] ?? []);
    const times = results.flatMap((result) => result.times).sort((a, b) => a - b);
    const cpu = results.reduce((sum, { user, system }) => sum + user + system, 0) / results.length;
    return {
      median: 1000 * ((at(times, 0.5) + at(times, 0.49999)) / 2),
      min: 1000 * at(times, 0),
      cpu: 1000 * cpu,
    };
  });
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
}
