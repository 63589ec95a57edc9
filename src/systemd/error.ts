import { DomainError } from '../os/error.ts';

export type SystemdErrorCode = 'no-bus' | 'timeout' | 'refused' | 'job-failed';

/** The bus, systemd or machined did not do what was asked. */
export class SystemdError extends DomainError<SystemdErrorCode> {}
