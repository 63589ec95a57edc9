import * as z from 'zod/mini';
import { parseJson } from '../appc/json.ts';
import { errorChain } from '../os/error.ts';
import { TrustError } from './error.ts';

/**
 * Reads a file that decides on trust: an unknown field, or one that stands twice, refuses it whole.
 *
 * @param what names the file in messages
 * @throws TrustError `bad-policy`
 */
export function parseStrictly<Schema extends z.ZodMiniType>(
  text: string,
  schema: Schema,
  what: string,
): z.output<Schema> {
  const wrong = (why: string, cause?: unknown) =>
    new TrustError('bad-policy', `bad ${what}: ${why}`, cause);
  let json: unknown;
  try {
    json = parseJson(text, what);
  } catch (error) {
    throw new TrustError('bad-policy', errorChain(error)[0] ?? '', error);
  }
  const doubled = doubledField(text);
  if (doubled !== undefined) throw wrong(`the field ${JSON.stringify(doubled)} stands twice`);
  const result = z.safeParse(schema, json);
  if (result.success) return result.data;
  const { path, message } = innermost(result.error.issues);
  throw wrong(`${path.map(String).join('.') || 'the file'}: ${message}`);
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

function innermost([issue]: readonly z.core.$ZodIssue[]): Issue {
  if (!issue) return { path: [], message: 'is not valid' };
  if (issue.code === 'unrecognized_keys')
    return {
      path: issue.path,
      message: `unknown field ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`,
    };
  return {
    path: issue.path,
    message: issue.code === 'invalid_type' ? `must be of type ${issue.expected}` : issue.message,
  };
}

/** A field that an object of this JSON text has twice, as a parser silently takes the last one. */
export function doubledField(text: string): string | undefined {
  const objects: (Set<string> | undefined)[] = [];
  let previous = '';
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:,]/g)) {
    if (token === '{') objects.push(new Set());
    else if (token === '[') objects.push(undefined);
    else if (token === '}' || token === ']') objects.pop();
    else if (token === ':') {
      const name: unknown = JSON.parse(previous);
      const fields = objects.at(-1);
      if (typeof name === 'string' && fields?.has(name)) return name;
      if (typeof name === 'string') fields?.add(name);
    }
    previous = token;
  }
  return undefined;
}
