import { DomainError } from '../os/error.ts';

export type MetadataErrorCode = 'not-running' | 'refused' | 'in-use' | 'bad-state';

/** The metadata service cannot be reached, or cannot do its work. */
export class MetadataError extends DomainError<MetadataErrorCode> {}
