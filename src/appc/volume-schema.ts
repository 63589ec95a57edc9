/** Schema of a volume (spec: pods.md, "volumes"). */
import * as z from 'zod/mini';
import { acName, numericId, object, parsed, text } from './schema.ts';
import type { Volume } from './types.ts';
import { makeVolume } from './volume.ts';

export const volume: z.ZodMiniType<Volume> = parsed(
  object({
    name: acName,
    kind: z.enum(['host', 'empty', 'tmpfs']),
    source: z.exactOptional(text),
    readOnly: z.exactOptional(z.boolean()),
    recursive: z.exactOptional(z.boolean()),
    mode: z.exactOptional(z.string()),
    uid: z.exactOptional(numericId),
    gid: z.exactOptional(numericId),
    size: z.exactOptional(z.string()),
  }),
  makeVolume,
);
