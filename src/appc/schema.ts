/** Building blocks of the manifest schemas. Loads zod: import only where outside text comes in. */
import * as z from 'zod/mini';
import { AppcError, type Problem } from './error.ts';
import { isACIdentifier, isACName, isSemVer, parseImageHash } from './names.ts';

type Issue = z.core.$ZodRawIssue;

/**
 * Checks a value from outside against a schema.
 *
 * @param what the document's kind for the message, for example `image manifest`
 * @throws AppcError `schema` that names the JSON path of the first wrong field, and why; all of them
 * are its `problems`
 */
export function validate<T>(schema: z.ZodMiniType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value, { error: describe });
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    ({ path, message }): Problem => ({ path: jsonPath(path), message }),
  );
  const [first, ...rest] = problems;
  const more = rest.length === 0 ? '' : ` (and ${rest.length} more)`;
  const path = first?.path.replace(/^\$\.?/, '') ?? '';
  throw new AppcError(
    'schema',
    `bad ${what}: ${path === '' ? '' : `${path}: `}${first?.message ?? 'invalid'}${more}`,
    result.error,
    problems,
  );
}

/** `['app', 'ports', 0, 'port']` as `$.app.ports[0].port`. */
function jsonPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return /^[\w-]+$/.test(String(key)) ? `${text}.${String(key)}` : `${text}[${quote(key)}]`;
  }, '$');
}

/** What is wrong with a field, where its schema does not say so itself. */
export function describe(issue: Issue): string {
  if (issue.input === undefined) return 'is required';
  if (issue.code === 'invalid_type') return `must be ${article(String(issue.expected))}`;
  if (issue.code === 'invalid_value') return `must be ${issue.values.map(quote).join(' or ')}`;
  return 'is not valid';
}

function article(type: string): string {
  const name = type === 'record' ? 'object' : type;
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}

/** A value as a message shows it: as JSON. */
export function quote(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}

/** An object; a member that is null counts as absent, as in Go's decoder. */
export function object<Shape extends z.core.$ZodShape>(shape: Shape) {
  return z.pipe(z.transform(withoutNulls), z.object(shape));
}

function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));
}

/** An array; absent counts as empty. */
export function list<T extends z.ZodMiniType>(item: T) {
  return z._default(z.array(item), []);
}

export const text = z
  .string()
  .check(z.refine((value) => !value.includes('\0'), 'must not contain a NUL character'));

export const nonEmpty = text.check(z.refine((value) => value !== '', 'must not be empty'));

export const absolutePath = text.check(
  z.refine((value) => value.startsWith('/'), 'must be an absolute path'),
);

export const flag = z._default(z.boolean(), false);

export const stringMap = z._default(z.record(z.string(), z.string()), {});

/** An integer; both bounds are allowed. */
export function integer(min: number, max: number) {
  return z
    .number()
    .check(
      z.refine(
        (value) => Number.isInteger(value) && value >= min && value <= max,
        `must be an integer from ${min} to ${max}`,
      ),
    );
}

/** A user or group id; the highest is chown(2)'s "unchanged". */
export const numericId = integer(0, 0xfffffffe);

export const acName = z.string().check(
  z.refine(isACName, {
    error: ({ input }) =>
      `${quote(input)} is not an AC name: lower-case letters, digits and single inner "-" only`,
  }),
);

export const acIdentifier = z.string().check(
  z.refine(isACIdentifier, {
    error: ({ input }) =>
      `${quote(input)} is not an AC identifier: lower-case letters, digits and single inner "-._~/" only`,
  }),
);

export const semVer = z.string().check(
  z.refine(isSemVer, {
    error: ({ input }) => `${quote(input)} is not a semantic version (major.minor.patch)`,
  }),
);

/** A value through a parser that throws AppcError. */
export function parsed<In, Out>(schema: z.ZodMiniType<In>, parse: (value: In) => Out) {
  return z.pipe(
    schema,
    z.transform((value: In, context) => {
      try {
        return parse(value);
      } catch (error) {
        if (!(error instanceof AppcError)) throw error;
        context.issues.push({ code: 'custom', message: error.message, input: value });
        return z.NEVER;
      }
    }),
  );
}

export const imageHash = parsed(z.string(), parseImageHash);

/** A list of things with a name that must not repeat. */
export function uniqueByName<T extends { name: string }>(item: z.ZodMiniType<T>) {
  return list(item).check(
    z.superRefine((items, context) => {
      const seen = new Set<string>();
      for (const [index, { name }] of items.entries()) {
        if (seen.has(name))
          context.addIssue({
            code: 'custom',
            message: `duplicate name ${quote(name)}`,
            path: [index, 'name'],
          });
        seen.add(name);
      }
    }),
  );
}
