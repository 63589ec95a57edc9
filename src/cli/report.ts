import { errorChain } from '../os/error.ts';
import { printable } from '../os/printable.ts';

/**
 * An error for stderr: one line with the message and, where it says more, the innermost cause. In
 * debug mode the whole chain, a line for each.
 */
export function errorText(prefix: string, error: unknown, debug: boolean): string {
  const chain = errorChain(error).map(oneLine);
  const [message = 'unknown error'] = chain;
  if (debug)
    return chain.map((text, depth) => `${depth === 0 ? prefix : indent(depth)}${text}\n`).join('');
  const innermost = oneLine(errorChain(innermostCause(error))[0] ?? '');
  return `${prefix}${message}${message.includes(innermost) ? '' : `: ${innermost}`}\n`;
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
