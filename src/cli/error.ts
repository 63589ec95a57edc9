import { DomainError } from '../os/error.ts';

export type CliErrorCode =
  /** The command line can't be understood. */
  | 'usage'
  /** A flag got a value that it can't have. */
  | 'flag-value'
  /** No command was named. */
  | 'missing-command'
  /** The command needs root. */
  | 'unprivileged'
  /** A file that the command line names can't be read. */
  | 'input'
  /** The result can't be written. */
  | 'output';

/** A fault of the command line, or of what it names. `exitCode` is what the process ends with. */
export class CliError extends DomainError<CliErrorCode> {
  readonly exitCode: number;

  constructor(code: CliErrorCode, message: string, cause?: unknown, exitCode = EXIT_FAILURE) {
    super(code, message, cause);
    this.exitCode = exitCode;
  }
}

/** rkt's "rkt itself failed": far from what apps use, so that scripts can tell them apart. */
export const EXIT_FAILURE = 254;

/** The command line does not follow the command's synopsis, which is shown with it. */
export function usageError(message: string): CliError {
  return new CliError('usage', message);
}

/** A flag whose value cannot be used; `flag` without the dashes. */
export function flagError(flag: string, why: string, cause?: unknown): CliError {
  return new CliError('flag-value', `--${flag}: ${why}`, cause);
}
