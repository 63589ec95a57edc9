import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import { type HttpClient, readBytes, statusError } from '../http/client.ts';
import { errnoOf } from '../os/error.ts';
import type { DockerName } from './docker-name.ts';
import { TrustError } from './error.ts';
import { parseStrictly } from './strict-json.ts';
import type { ManifestTrust, TrustRoots } from './types.ts';

const maxSignatures = 64;
/** A signature of this kind is the signed document itself, of a few hundred bytes. */
export const signatureLimit = 1024 * 1024;

const url = z
  .string()
  .check(
    z.refine(
      (text) => /^(file:\/\/\/|https:\/\/)/.test(text) && URL.canParse(text),
      'must be a file:/// or https:// URL',
    ),
  );
const entry = z.strictObject({
  lookaside: z.optional(url),
  'lookaside-staging': z.optional(z.string()),
  sigstore: z.optional(url),
  'sigstore-staging': z.optional(z.string()),
  'use-sigstore-attachments': z.optional(z.boolean()),
});
const schema = z.strictObject({
  'default-docker': z.optional(entry),
  docker: z.optional(z.record(z.string(), entry)),
});

/**
 * The signatures that the lookaside of a repository has for a manifest: `signature-1` and so on in
 * the folder `REPOSITORY@sha256=HEX` (containers-registries.d(5), in JSON: LOCAL/registries.d/*.json,
 * then SYS). Nothing of them is verified.
 *
 * @param scopes what registries.d may call the image, most specific first
 * @returns empty as well when there is no lookaside for the image
 * @throws TrustError `bad-policy`, `bad-signature` for one that is too large, `io`; HttpError
 */
export async function lookasideSignatures(
  { roots, http }: ManifestTrust,
  { name }: DockerName,
  digest: string,
  scopes: readonly string[],
): Promise<Uint8Array[]> {
  const base = lookasideFor(roots, scopes);
  if (base === undefined) return [];
  const repository = name.slice(name.indexOf('/') + 1);
  const folder = `${repository}@${digest.replace(':', '=')}`;
  if (folder.split('/').some((part) => part === '.' || part === '..')) return [];
  const signatures: Uint8Array[] = [];
  while (signatures.length < maxSignatures) {
    const address = `${base.replace(/\/$/, '')}/${folder}/signature-${signatures.length + 1}`;
    const signature = address.startsWith('file:')
      ? readSignature(fileURLToPath(address))
      : await downloadSignature(http, address);
    if (!signature) break;
    signatures.push(signature);
  }
  return signatures;
}

function lookasideFor({ local, system }: TrustRoots, scopes: readonly string[]) {
  const configured = [local, system].map((root) => readFolder(join(root, 'registries.d')));
  for (const scope of [...scopes, ''])
    for (const lookasides of configured) {
      const found = lookasides.get(scope);
      if (found !== undefined) return found;
    }
  return undefined;
}

/** The lookasides of a folder, by scope; '' is the default. */
function readFolder(folder: string): Map<string, string> {
  const lookasides = new Map<string, string>();
  for (const file of jsonFiles(folder)) {
    const text = read(file)?.toString('utf8') ?? '{}';
    const { docker = {}, 'default-docker': rest } = parseStrictly(text, schema, file);
    const entries = [...Object.entries(docker), ...(rest ? [['', rest] as const] : [])];
    for (const [scope, { lookaside, sigstore }] of entries) {
      const address = lookaside ?? sigstore;
      if (address === undefined) continue;
      if (lookasides.has(scope))
        throw new TrustError(
          'bad-policy',
          `bad ${file}: another file of the folder has a lookaside for ${scope || 'default-docker'} already`,
        );
      lookasides.set(scope, address);
    }
  }
  return lookasides;
}

function jsonFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw new TrustError('io', `cannot list ${folder}`, error);
  }
}

function readSignature(path: string): Buffer | undefined {
  const signature = read(path);
  if (signature && signature.length > signatureLimit)
    throw new TrustError(
      'bad-signature',
      `cannot read signature ${path}: it has more than ${signatureLimit} bytes`,
    );
  return signature;
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new TrustError('io', `cannot read ${path}`, error);
  }
}

async function downloadSignature(http: HttpClient, address: string): Promise<Buffer | undefined> {
  const answer = await http.request(address);
  if (answer.status === 200) return readBytes(answer, signatureLimit);
  const failure = statusError(answer);
  if (answer.status === 404) return undefined;
  throw failure;
}
