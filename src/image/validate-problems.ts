import { AppcError } from '../appc/error.ts';
import { DomainError, errnoOf } from '../os/error.ts';
import { reason } from './store.ts';
import { badTar } from './tar-headers.ts';
import { TarWalker } from './tar-walker.ts';
import type { Content } from './unpack.ts';

/** One thing that is wrong with a file. */
export interface FileProblem {
  /** Which file inside it, when it has several: `index.json`. */
  readonly document?: string;
  /** JSON path in that document. */
  readonly path?: string;
  readonly message: string;
}

export type Report = (problem: FileProblem) => void;

/** An error as problems: those of the fields of a document, or one with the bare reason. */
export function problemsOf(error: unknown, document?: string): FileProblem[] {
  const inside = document === undefined ? {} : { document };
  let innermost = error;
  for (let at = error; at instanceof DomainError; at = at.cause) {
    if (at instanceof AppcError && at.problems.length > 0)
      return at.problems.map((problem) => ({ ...inside, ...problem }));
    innermost = at;
  }
  if (!(innermost instanceof DomainError) && errnoOf(innermost) === undefined) throw error;
  return [{ ...inside, message: reason(innermost) }];
}

/** Runs a check, and reports what it throws. */
export function collect<T>(check: () => T, report: Report, document?: string): T | undefined {
  try {
    return check();
  } catch (error) {
    for (const problem of problemsOf(error, document)) report(problem);
    return undefined;
  }
}

/**
 * Walks the headers of a tar and reports every member that breaks a rule.
 *
 * @param refuse says what a stream that starts like this is, when it is no tar
 * @throws ImageError `bad-image` where the walk can't go on
 */
export async function walkTar(
  bytes: AsyncIterable<Buffer>,
  content: Content,
  report: Report,
  refuse: (start: Buffer) => string | undefined,
): Promise<void> {
  const walker = new TarWalker((entry) => {
    try {
      return content.judge(entry);
    } catch (error) {
      for (const problem of problemsOf(error)) report(problem);
      return 'drop';
    }
  });
  let first = true;
  const check = (start: Buffer): void => {
    const why = refuse(start);
    if (why !== undefined) throw badTar(why);
  };
  for await (const chunk of bytes) {
    if (first) check(chunk);
    first = false;
    walker.push(chunk);
  }
  if (first) check(Buffer.alloc(0));
  walker.end();
}
