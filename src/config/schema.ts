import { isAbsolute } from 'node:path';
import * as z from 'zod/mini';
import { ConfigError } from './error.ts';
import type { ConfigFolder, Definitions } from './read.ts';
import type { HttpCredentials } from './types.ts';

const text = z.string().check(z.minLength(1, 'must not be empty'));
const absolute = z.string().check(z.refine(isAbsolute, 'must be an absolute path'));
const hosts = z.array(text).check(z.minLength(1, 'must name at least one'));
const location = z
  .string()
  .check(
    z.refine(
      (value) => isAbsolute(value) || /^(file|docker|https?):/.test(value),
      'must be an absolute path or a file, docker, http or https URL',
    ),
  );

const v1 = { rktVersion: z.literal('v1', 'must be "v1"') };
const password = z.object({ user: text, password: text });

const auth = z.discriminatedUnion(
  'type',
  [
    z.object({ ...v1, domains: hosts, type: z.literal('basic'), credentials: password }),
    z.object({
      ...v1,
      domains: hosts,
      type: z.literal('oauth'),
      credentials: z.object({ token: text }),
    }),
    z.object({
      ...v1,
      domains: hosts,
      type: z.literal('aws'),
      credentials: z.object({
        accessKeyID: text,
        secretAccessKey: text,
        awsRegion: z.optional(z.string()),
      }),
    }),
  ],
  'must be "basic", "oauth" or "aws"',
);
const dockerAuth = z.object({ ...v1, registries: hosts, credentials: password });
const paths = z.object({
  ...v1,
  data: z.optional(absolute),
  'stage1-images': z.optional(absolute),
});
const stage1 = z
  .object({
    ...v1,
    name: z.optional(text),
    version: z.optional(text),
    location: z.optional(location),
  })
  .check(
    z.refine(
      ({ name, version }) => (name === undefined) === (version === undefined),
      'needs name and version both, or neither',
    ),
  );

/** What may stand in a folder, and how it is read. */
const kinds: Record<ConfigFolder, Record<string, (file: string, json: unknown) => Definitions>> = {
  'auth.d': {
    auth(file, json) {
      const entry = checked(file, auth, json);
      return { auth: eachOnce(file, entry.domains, httpCredentials(entry)) };
    },
    dockerAuth(file, json) {
      const { registries, credentials } = checked(file, dockerAuth, json);
      return { dockerAuth: eachOnce(file, registries, credentials) };
    },
  },
  'paths.d': {
    paths(file, json) {
      const { data, 'stage1-images': stage1Images } = checked(file, paths, json);
      return {
        paths: {
          ...(data === undefined ? {} : { data }),
          ...(stage1Images === undefined ? {} : { stage1Images }),
        },
      };
    },
  },
  'stage1.d': {
    stage1(file, json) {
      const { name, version, location } = checked(file, stage1, json);
      return {
        stage1: {
          ...(name === undefined || version === undefined ? {} : { image: { name, version } }),
          ...(location === undefined ? {} : { location }),
        },
      };
    },
  },
};

/**
 * The definitions of one configuration file.
 *
 * @throws ConfigError `invalid`, naming the file and the key
 */
export function parseDefinitions(folder: ConfigFolder, file: string, content: string): Definitions {
  const json = parseJson(file, content);
  const { rktKind } = checked(file, z.object({ rktKind: text }), json);
  const parse = Object.hasOwn(kinds[folder], rktKind) ? kinds[folder][rktKind] : undefined;
  if (parse) return parse(file, json);
  const expected = Object.keys(kinds[folder]).join(' or ');
  throw invalid(file, `rktKind is "${rktKind}", ${folder} takes ${expected}`);
}

function parseJson(file: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new ConfigError('invalid', `bad configuration ${file}: not JSON`, error);
  }
}

function checked<Schema extends z.ZodMiniType>(
  file: string,
  schema: Schema,
  json: unknown,
): z.output<Schema> {
  const result = z.safeParse(schema, json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path ?? [];
  throw invalid(file, `${path.join('.') || 'the file'} ${fault(issue, valueAt(json, path))}`);
}

function fault(issue: z.core.$ZodIssue | undefined, value: unknown): string {
  if (value === undefined) return 'is missing';
  return issue?.code === 'invalid_type'
    ? `must be of type ${issue.expected}`
    : (issue?.message ?? 'is not valid');
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  let at = json;
  for (const key of path)
    at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined;
  return at;
}

function httpCredentials(entry: z.output<typeof auth>): HttpCredentials {
  switch (entry.type) {
    case 'basic':
      return { type: entry.type, ...entry.credentials };
    case 'oauth':
      return { type: entry.type, ...entry.credentials };
    case 'aws':
      return { type: entry.type, ...entry.credentials };
  }
}

function eachOnce<Value>(file: string, keys: readonly string[], value: Value): Map<string, Value> {
  const all = new Map(keys.map((key) => [key, value]));
  if (all.size !== keys.length) throw invalid(file, 'names a host twice');
  return all;
}

function invalid(file: string, why: string): ConfigError {
  return new ConfigError('invalid', `bad configuration ${file}: ${why}`);
}
