import { type Validation, validateFile } from '../../image/validate.ts';
import type { FileProblem } from '../../image/validate-problems.ts';
import type { Context } from '../context.ts';
import { EXIT_FAILURE } from '../error.ts';
import { jsonFormat, jsonText } from '../output.ts';

/** Checks files, prints all that is wrong with each, and fails when anything is. */
export async function run({ args, flags, stdout }: Context): Promise<number> {
  const format = jsonFormat(flags);
  const quiet = flags.bool('quiet');
  const results: Validation[] = [];
  for (const file of args) {
    const result = await validateFile(file);
    results.push(result);
    if (!format && !quiet) stdout.write(textOf(result));
  }
  if (format && !quiet) stdout.write(jsonText(results.map(jsonOf), format));
  return results.every(isValid) ? 0 : EXIT_FAILURE;
}

function isValid({ problems }: Validation): boolean {
  return problems.length === 0;
}

function jsonOf(result: Validation): object {
  const { file, kind, problems } = result;
  return { file, kind: kind ?? null, valid: isValid(result), problems };
}

function textOf(result: Validation): string {
  const { file, kind, problems } = result;
  if (isValid(result)) return `${file}: valid ${kind}\n`;
  return problems.map((problem) => `${file}: ${lineOf(problem)}\n`).join('');
}

function lineOf({ document, path, message }: FileProblem): string {
  return [document, path, message].filter((part) => part !== undefined).join(': ');
}
