import { DomainError } from '../os/error.ts';

export type PodErrorCode =
  | 'bad-uuid'
  | 'no-such-pod'
  | 'ambiguous-uuid'
  | 'no-such-app'
  | 'no-logs'
  | 'not-attachable'
  | 'wrong-state'
  | 'busy'
  | 'no-overlay'
  | 'no-stage1'
  | 'unsupported'
  | 'timeout'
  | 'start-failed';

/** A pod cannot be found, or not be brought into the state that was asked for. */
export class PodError extends DomainError<PodErrorCode> {}
