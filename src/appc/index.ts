/**
 * The App Container spec: types, rules and the pure planning that belongs to them.
 *
 * Nothing here loads zod, so it may be imported on the start path. Text from outside is parsed by
 * `./parse.ts` (parseImageManifest, parsePodManifest, validateImageManifest, validatePodManifest),
 * which does load it: import that file only where such text comes in.
 */
export { boundingSet } from './capabilities.ts';
export { parseEnvFiles } from './env-file.ts';
export { appEnvironment, mergeEnvironments } from './environment.ts';
export { AppcError, type AppcErrorCode } from './error.ts';
export {
  addNameValue,
  parseBool,
  parseCapsFlag,
  parseCpuFlag,
  parseCpuSharesFlag,
  parseGidsFlag,
  parseMemoryFlag,
  parseMountFlag,
  parseNameValue,
  parseOomScoreAdjFlag,
  parsePortFlag,
  parseSeccompFlag,
  parseVolumeFlag,
} from './flags.ts';
export {
  isKnownIsolatorName,
  isolatorValue,
  isolatorValues,
  misplacedIsolator,
  otherIsolators,
} from './isolators.ts';
export { isMutable, mutableAnnotation } from './mutable.ts';
export {
  isACIdentifier,
  isACName,
  isEnvironmentName,
  isIPAddress,
  isSemVer,
  parseImageHash,
  sanitizeACIdentifier,
  sanitizeACName,
} from './names.ts';
export { nativeCalls } from './native-calls.ts';
export { checkRunnable, hostArch, labelValue, runnable } from './platform.ts';
export {
  checkPodManifest,
  podManifest,
  specVersion,
} from './pod-plan.ts';
export type * from './pod-request.ts';
export { type ForwardedPort, resolvePorts } from './ports.ts';
export { bytes, milliCores, parseQuantity, type Quantity } from './quantity.ts';
export { parseRlimit, type Rlimit } from './rlimits.ts';
export { noNewPrivileges, type SeccompFilter, seccompFilter } from './seccomp.ts';
export {
  serializeImageManifest,
  serializePodManifest,
  storedImageManifest,
  storedPodManifest,
} from './stored.ts';
export type * from './types.ts';
