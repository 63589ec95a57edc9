/**
 * Parsing of manifests that come from outside. Loads zod: import only where such text comes in; a
 * manifest of the store is read with `storedImageManifest` and `storedPodManifest` instead.
 */
import * as z from 'zod/mini';
import { app, port } from './app-schema.ts';
import { isolatorList } from './isolator-schema.ts';
import { parseJson } from './json.ts';
import { isIPAddress } from './names.ts';
import { platformProblem } from './platform.ts';
import {
  absolutePath,
  acIdentifier,
  acName,
  flag,
  imageHash,
  integer,
  list,
  nonEmpty,
  object,
  quote,
  semVer,
  stringMap,
  text,
  uniqueByName,
  validate,
} from './schema.ts';
import type { ImageManifest, NameValue, PodManifest } from './types.ts';
import { volume } from './volume-schema.ts';

const labels = uniqueByName(
  object({
    name: acIdentifier.check(
      z.refine((name) => name !== 'name', '"name" is not allowed as the name of a label'),
    ),
    value: text,
  }),
);

const annotations = uniqueByName(object({ name: acIdentifier, value: text }));

const rfc3339 =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i;

/** Annotations whose value the spec gives a form (spec: aci.md, "annotations"). */
const annotationForms: Readonly<Record<string, [(value: string) => boolean, string]>> = {
  created: [(value) => rfc3339.test(value), 'must be a date as in RFC 3339'],
  homepage: [isWebUrl, 'must be an http or https URL'],
  documentation: [isWebUrl, 'must be an http or https URL'],
  'appc.io/executor/supports-systemd-notify': [
    (value) => /^(1|0|t|f|true|false)$/i.test(value),
    'must be true or false',
  ],
};

function isWebUrl(value: string): boolean {
  return /^https?:\/\//i.test(value) && URL.canParse(value);
}

const imageAnnotations = annotations.check(
  z.superRefine((items, context) => {
    for (const [index, { name, value }] of items.entries()) {
      const form = Object.hasOwn(annotationForms, name) ? annotationForms[name] : undefined;
      if (form !== undefined && !form[0](value))
        context.addIssue({
          code: 'custom',
          message: `${name} ${form[1]}, not ${quote(value)}`,
          path: [index, 'value'],
        });
    }
  }),
);

const imageManifest: z.ZodMiniType<ImageManifest> = object({
  acKind: z.literal('ImageManifest'),
  acVersion: semVer,
  name: acIdentifier,
  labels: labels.check(platform()),
  app: z.exactOptional(app),
  annotations: imageAnnotations,
  dependencies: list(
    object({
      imageName: acIdentifier,
      imageID: z.exactOptional(imageHash),
      labels,
      size: z.exactOptional(integer(0, Number.MAX_SAFE_INTEGER)),
    }),
  ),
  pathWhitelist: list(absolutePath),
});

function platform() {
  return z.superRefine((items: NameValue[], context) => {
    const problem = platformProblem(items);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });
}

const hostIP = nonEmpty.check(z.refine(isIPAddress, 'must be an IPv4 or IPv6 address'));

const podManifest: z.ZodMiniType<PodManifest> = object({
  acVersion: semVer,
  acKind: z.literal('PodManifest'),
  apps: uniqueByName(
    object({
      name: acName,
      image: object({ name: z.exactOptional(acIdentifier), id: imageHash, labels }),
      app: z.exactOptional(app),
      readOnlyRootFS: flag,
      mounts: list(object({ volume: acName, path: nonEmpty, appVolume: z.exactOptional(volume) })),
      annotations,
    }),
  ),
  volumes: uniqueByName(volume),
  isolators: isolatorList,
  annotations,
  ports: list(
    object({
      name: acName,
      hostPort: integer(1, 65_535),
      hostIP: z.exactOptional(hostIP),
      podPort: z.exactOptional(port),
    }),
  ),
  userAnnotations: stringMap,
  userLabels: stringMap,
});

/**
 * Checks a value against the schema of an image manifest and fills in defaults.
 *
 * @throws AppcError `schema` naming the JSON path of the field and what is wrong with it
 */
export function validateImageManifest(value: unknown): ImageManifest {
  return validate(imageManifest, value, 'image manifest');
}

/**
 * Checks a value against the schema of a pod manifest and fills in defaults.
 *
 * @throws AppcError `schema` naming the JSON path of the field and what is wrong with it
 */
export function validatePodManifest(value: unknown): PodManifest {
  return validate(podManifest, value, 'pod manifest');
}

/**
 * Parses an image manifest.
 *
 * @throws AppcError `syntax` with line and column when it is not JSON, `schema` for a wrong field
 */
export function parseImageManifest(text: string): ImageManifest {
  return validateImageManifest(parseJson(text, 'image manifest'));
}

/**
 * Parses a pod manifest.
 *
 * @throws AppcError `syntax` with line and column when it is not JSON, `schema` for a wrong field
 */
export function parsePodManifest(text: string): PodManifest {
  return validatePodManifest(parseJson(text, 'pod manifest'));
}
