/**
 * The JSON documents of the OCI image format (image-spec: descriptor.md, image-index.md,
 * manifest.md, config.md), of Docker's image manifest v2 schema 2, and of `docker save`.
 */
import * as z from 'zod/mini';
import { AppcError } from '../appc/error.ts';
import { parseJson } from '../appc/json.ts';
import { integer, list, object, stringMap, text, validate } from '../appc/schema.ts';
import { ImageError } from './error.ts';

const digest = z
  .string()
  .check(z.regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hex digits'));

const platform = object({
  os: text,
  architecture: text,
  variant: z.optional(text),
});

const descriptor = object({
  mediaType: text,
  digest,
  size: integer(0, Number.MAX_SAFE_INTEGER),
  annotations: stringMap,
  platform: z.optional(platform),
});

const index = object({ schemaVersion: z.literal(2), manifests: list(descriptor) });

const manifest = object({
  schemaVersion: z.literal(2),
  config: descriptor,
  layers: list(descriptor),
});

const config = object({
  os: text,
  architecture: text,
  variant: z.optional(text),
  created: z.optional(text),
  author: z.optional(text),
  rootfs: object({ type: z.literal('layers'), diff_ids: list(digest) }),
  config: z.prefault(
    object({
      User: z._default(text, ''),
      ExposedPorts: z._default(z.record(z.string(), z.unknown()), {}),
      Env: list(text),
      Entrypoint: list(text),
      Cmd: list(text),
      Volumes: z._default(z.record(z.string(), z.unknown()), {}),
      WorkingDir: z._default(text, ''),
      Labels: stringMap,
      StopSignal: z._default(text, ''),
    }),
    {},
  ),
});

const dockerArchive = z
  .array(object({ Config: text, RepoTags: list(text), Layers: list(text) }))
  .check(z.minLength(1, 'must list an image'));

const layout = object({ imageLayoutVersion: z.literal('1.0.0') });

export type Platform = z.infer<typeof platform>;
export type Descriptor = z.infer<typeof descriptor>;
export type OciIndex = z.infer<typeof index>;
export type OciManifest = z.infer<typeof manifest>;
export type OciConfig = z.infer<typeof config>;
export type DockerArchiveManifest = z.infer<typeof dockerArchive>;

/**
 * Parses one document.
 *
 * @param where names it in the message, such as `index.json of /srv/a.tar`
 * @throws ImageError `bad-manifest` that names the JSON path of the wrong field
 */
function parser<T>(schema: z.ZodMiniType<T>) {
  return (json: Buffer, where: string): T => {
    try {
      return validate(schema, parseJson(json.toString('utf8'), where), where);
    } catch (error) {
      if (!(error instanceof AppcError)) throw error;
      throw new ImageError('bad-manifest', error.message, error);
    }
  };
}

export const parseIndex = parser(index);
export const parseManifest = parser(manifest);
export const parseConfig = parser(config);
export const parseDockerArchive = parser(dockerArchive);
export const parseLayout = parser(layout);
