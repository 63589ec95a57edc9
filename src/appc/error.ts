import { DomainError } from '../os/error.ts';

/**
 * - `syntax`: text that is not JSON, or a flag value that does not have its form;
 * - `schema`: a field has the wrong type or breaks a rule of its own;
 * - `conflict`: values that are right each but not together (duplicates, isolators, ports);
 * - `platform`: an image that this host cannot run;
 * - `not-found`: a name that refers to nothing (volume, port, app section).
 */
export type AppcErrorCode = 'syntax' | 'schema' | 'conflict' | 'platform' | 'not-found';

/** A document, a flag or a request that breaks the rules of the App Container spec. */
export class AppcError extends DomainError<AppcErrorCode> {}
