/**
 * The configuration folders: system, local and user, in rising precedence, each with auth.d, paths.d
 * and stage1.d. A machine without them, which is the usual one, pays for a few failed look-ups only.
 */
export { ConfigError, type ConfigErrorCode } from './error.ts';
export { readConfig } from './read.ts';
export type * from './types.ts';
