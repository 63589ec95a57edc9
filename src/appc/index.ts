/**
 * The App Container spec: types, rules and the pure planning that belongs to them.
 *
 * Nothing here loads zod, so it may be imported on the start path. Text from outside is parsed by
 * `./parse.ts` (parseImageManifest, parsePodManifest, validateImageManifest, validatePodManifest),
 * which does load it: import that file only where such text comes in.
 */
export { AppcError, type AppcErrorCode } from './error.ts';
export type * from './pod-request.ts';
export type * from './types.ts';
