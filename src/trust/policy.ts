import { isAbsolute, join } from 'node:path';
import * as z from 'zod/mini';
import { readIfExists } from '../os/files.ts';
import { parseDockerName } from './docker-name.ts';
import { TrustError } from './error.ts';
import { parseStrictly } from './strict-json.ts';
import type { TrustRoots } from './types.ts';

const path = z.string().check(z.refine(isAbsolute, 'must be an absolute path'));
const reference = z.string().check(
  z.refine((text) => {
    const parsed = parseDockerName(text);
    return parsed?.tag !== undefined || parsed?.digest !== undefined;
  }, 'must be a Docker reference with tag or digest'),
);
const repository = z
  .string()
  .check(
    z.refine(
      (text) => parseDockerName(text)?.name !== undefined && !/@|:[^/]*$/.test(text),
      'must be a Docker repository without tag or digest',
    ),
  );

const identity = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('matchExact') }),
  z.strictObject({ type: z.literal('matchRepoDigestOrExact') }),
  z.strictObject({ type: z.literal('matchRepository') }),
  z.strictObject({ type: z.literal('exactReference'), dockerReference: reference }),
  z.strictObject({ type: z.literal('exactRepository'), dockerRepository: repository }),
]);

const keys = {
  keyPath: z.optional(path),
  keyPaths: z.optional(z.array(path).check(z.minLength(1, 'must name at least one file'))),
  keyData: z.optional(z.base64('must be base64')),
  signedIdentity: z.optional(identity),
};
const oneKeySource = z.refine<KeySource>(
  (given) =>
    [given.keyPath, given.keyPaths, given.keyData].filter((one) => one !== undefined).length === 1,
  'needs exactly one of keyPath, keyPaths and keyData',
);

const requirement = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('insecureAcceptAnything') }),
  z.strictObject({ type: z.literal('reject') }),
  z
    .strictObject({ type: z.literal('signedBy'), keyType: z.literal('GPGKeys'), ...keys })
    .check(oneKeySource),
  z.strictObject({ type: z.literal('sigstoreSigned'), ...keys }).check(oneKeySource),
]);
const requirements = z
  .array(requirement)
  .check(z.minLength(1, 'must have at least one requirement'));

const policySchema = z.strictObject({
  default: requirements,
  transports: z.optional(z.record(z.string(), z.record(z.string(), requirements))),
});

/** Where the keys of a requirement are: files, or base64 of one. */
export interface KeySource {
  readonly keyPath?: string | undefined;
  readonly keyPaths?: readonly string[] | undefined;
  readonly keyData?: string | undefined;
}
/** How the reference in a signature must relate to the one that was asked for. */
export type SignedIdentity = z.output<typeof identity>;
export type Requirement = z.output<typeof requirement>;
/** containers-policy.json(5) */
export type Policy = z.output<typeof policySchema>;

/** The policy that applies on this machine: the administrator's, else the vendor's, if any. */
export function readPolicy({
  local,
  system,
}: TrustRoots): { file: string; policy: Policy } | undefined {
  for (const root of [local, system]) {
    const file = join(root, 'policy.json');
    const text = readText(file);
    if (text !== undefined) return { file, policy: parsePolicy(text, file) };
  }
  return undefined;
}

/** Throws TrustError `bad-policy`; an unknown or doubled field refuses the whole file. */
export function parsePolicy(text: string, file: string): Policy {
  return parseStrictly(text, policySchema, `policy ${file}`);
}

/**
 * The requirements for an image, all of which must hold: those of the first scope that the policy
 * has for its transport, else the default.
 */
export function requirementsFor(
  { default: fallback, transports = {} }: Policy,
  transport: string,
  scopes: readonly string[],
): readonly Requirement[] {
  const entries = Object.hasOwn(transports, transport) ? transports[transport] : undefined;
  const scope = [...scopes, ''].find((one) => entries && Object.hasOwn(entries, one));
  return (scope === undefined ? undefined : entries?.[scope]) ?? fallback;
}

/**
 * What a policy, or a lookaside, may call a Docker image, most specific first: the reference, its
 * repository, the repository's parents, the host, and `*.DOMAIN` for each domain of the host.
 */
export function dockerScopes(text: string, name: string): string[] {
  const parts = name.split('/');
  const host = (parts[0] ?? '').split('.');
  return [
    text,
    ...parts.map((_, at) => parts.slice(0, parts.length - at).join('/')),
    ...host.slice(1).map((_, at) => `*.${host.slice(at + 1).join('.')}`),
  ];
}

/** What a policy may call an image in a file or folder: `PATH:TAG`, the path, its parents. */
export function pathScopes(file: string, tag: string | undefined): string[] {
  const parts = file.split('/');
  const parents = parts.map((_, at) => parts.slice(0, parts.length - at).join('/'));
  return [...(tag === undefined ? [] : [`${file}:${tag}`]), ...parents.filter((one) => one !== '')];
}

function readText(file: string): string | undefined {
  try {
    return readIfExists(file);
  } catch (error) {
    throw new TrustError('io', `cannot read policy ${file}`, error);
  }
}
