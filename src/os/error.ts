/**
 * The root of every error that the project raises on purpose.
 *
 * A domain derives one class from it and closes the set of codes, so that a caller can switch on
 * `code`. The message is one line: what was attempted, on what, why it failed, what to do.
 */
export abstract class DomainError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.name = new.target.name;
  }
}

/** The chain of an error and its causes, outermost first. */
export function errorChain(error: unknown): string[] {
  const chain: string[] = [];
  for (
    let at = error;
    at !== undefined && at !== null;
    at = at instanceof Error ? at.cause : undefined
  )
    chain.push(at instanceof Error ? at.message : String(at));
  return chain;
}

/** The errno name (`ENOENT`) of a Node or system call error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
