import { DomainError } from '../os/error.ts';

export type Stage1ErrorCode =
  | 'no-entry-point'
  | 'bad-arguments'
  | 'unsupported'
  | 'app-setup'
  | 'not-started'
  | 'missing-program';

/** A stage1 cannot do what a pod asks of it. */
export class Stage1Error extends DomainError<Stage1ErrorCode> {}
