import { errorChain } from '../os/error.ts';
import { printable } from '../os/printable.ts';

/**
 * An error for stderr: one line with the message, where it says more the innermost cause, and what to
 * do. In debug mode the whole chain, a line for each cause.
 */
export function errorText(prefix: string, error: unknown, debug: boolean, todo?: string): string {
  const [message = 'unknown error', ...causes] = errorChain(error).map(oneLine);
  const innermost = oneLine(errorChain(innermostCause(error))[0] ?? '');
  const why = debug || message.includes(innermost) ? [] : [innermost];
  const first = [message, ...why, ...(todo === undefined ? [] : [todo])].join(': ');
  const below = debug ? causes.map((text, depth) => `${indent(depth + 1)}${text}\n`) : [];
  return `${prefix}${first}\n${below.join('')}`;
}

/** The last cause that says something to a user: not a schema library's own page of JSON. */
function innermostCause(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  const isReport = cause instanceof Error && 'issues' in cause;
  return cause === undefined || cause === null || isReport ? error : innermostCause(cause);
}

function indent(depth: number): string {
  return `${'  '.repeat(depth)}└─`;
}

/** A message for a terminal, whatever names of strangers are in it. */
export function oneLine(text: string): string {
  return printable(text.trim().replace(/\s*[\n\r\t]\s*/g, ' '));
}
