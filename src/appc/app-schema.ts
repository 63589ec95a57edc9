/** Schema of an app section (spec: aci.md, "app"). */
import * as z from 'zod/mini';
import { isolatorList } from './isolator-schema.ts';
import { isEnvironmentName } from './names.ts';
import {
  absolutePath,
  acName,
  flag,
  integer,
  list,
  nonEmpty,
  numericId,
  object,
  quote,
  stringMap,
  text,
  uniqueByName,
} from './schema.ts';
import type { App, NameValue, Port } from './types.ts';

const environment: z.ZodMiniType<NameValue[]> = uniqueByName(
  object({
    name: z.string().check(
      z.refine(isEnvironmentName, {
        error: ({ input }) => `${quote(input)} is not the name of an environment variable`,
      }),
    ),
    value: text,
  }),
);

const eventHandlers = uniqueByName(
  object({
    name: z.enum(['pre-start', 'post-stop']),
    exec: z.array(text).check(z.refine((exec) => exec.length > 0, 'must not be empty')),
  }),
);

const mountPoint = object({ name: acName, path: nonEmpty, readOnly: flag });

export const port: z.ZodMiniType<Port> = object({
  name: acName,
  protocol: z.string().check(
    z.toLowerCase(),
    z.refine((protocol) => /^[a-z0-9]+$/.test(protocol), 'must be a protocol such as tcp or udp'),
  ),
  port: integer(1, 65_535),
  count: z._default(integer(1, 65_535), 1),
  socketActivated: flag,
}).check(
  z.refine((value) => value.port + value.count <= 65_536, {
    error: 'port and count together go beyond port 65535',
    path: ['count'],
  }),
);

export const app: z.ZodMiniType<App> = object({
  exec: list(text),
  user: nonEmpty,
  group: nonEmpty,
  supplementaryGIDs: list(numericId),
  workingDirectory: z._default(z.union([z.literal(''), absolutePath]), ''),
  environment,
  eventHandlers,
  mountPoints: list(mountPoint),
  ports: list(port),
  isolators: isolatorList,
  userAnnotations: stringMap,
  userLabels: stringMap,
});
