import { DomainError } from '../os/error.ts';

/** What can go wrong with the bus, and what is on it. */
export type SystemdErrorCode = 'no-bus' | 'timeout' | 'refused' | 'job-failed';

/** The bus, systemd or machined did not do what was asked. */
export class SystemdError extends DomainError<SystemdErrorCode> {}
