import { errorChain } from '../os/error.ts';

/**
 * An error for stderr: one line with the message and, where it says more, the innermost cause. In
 * debug mode the whole chain, a line for each.
 */
export function errorText(prefix: string, error: unknown, debug: boolean): string {
  const chain = errorChain(error).map(oneLine);
  const [message = 'unknown error'] = chain;
  if (debug)
    return chain.map((text, depth) => `${depth === 0 ? prefix : indent(depth)}${text}\n`).join('');
  const cause = innermostCause(error);
  const innermost = isSchemaReport(cause) ? '' : (chain.at(-1) ?? '');
  return `${prefix}${message}${message.includes(innermost) ? '' : `: ${innermost}`}\n`;
}

/** The schema library's own report, a page of JSON: our message has said what is in it. */
function isSchemaReport(error: unknown): boolean {
  return error instanceof Error && 'issues' in error;
}

function innermostCause(error: unknown): unknown {
  let at = error;
  while (at instanceof Error && at.cause !== undefined && at.cause !== null) at = at.cause;
  return at;
}

function indent(depth: number): string {
  return `${'  '.repeat(depth)}└─`;
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ');
}
