import { DomainError } from '../os/error.ts';

export type ConfigErrorCode =
  /** A file or folder of the configuration can't be read. */
  | 'unreadable'
  /** A file is not what its folder asks for. */
  | 'invalid'
  /** Two files of one folder define the same thing. */
  | 'conflict';

/** A file of the configuration cannot be used. */
export class ConfigError extends DomainError<ConfigErrorCode> {}
