import { DomainError } from '../os/error.ts';

/**
 * - `syntax`: text that is not JSON, or a flag value that does not have its form;
 * - `schema`: a field has the wrong type or breaks a rule of its own;
 * - `conflict`: values that are right each but not together (duplicates, isolators, ports);
 * - `platform`: an image that this host cannot run;
 * - `not-found`: a name that refers to nothing (volume, port, app section).
 */
export type AppcErrorCode = 'syntax' | 'schema' | 'conflict' | 'platform' | 'not-found';

/** One thing that is wrong with a document. */
export interface Problem {
  /** JSON path of the field, `$` for the whole: `$.app.ports[0].port`. */
  readonly path: string;
  readonly message: string;
}

/** A document, a flag or a request that breaks the rules of the App Container spec. */
export class AppcError extends DomainError<AppcErrorCode> {
  /** All that is wrong with a document that has the code `schema`; else empty. */
  readonly problems: readonly Problem[];

  constructor(
    code: AppcErrorCode,
    message: string,
    cause?: unknown,
    problems: readonly Problem[] = [],
  ) {
    super(code, message, cause);
    this.problems = problems;
  }
}
