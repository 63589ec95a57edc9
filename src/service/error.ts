import { DomainError } from '../os/error.ts';
import { printable } from '../os/printable.ts';

/** What can go wrong, as the API names it. */
export type ServiceErrorCode =
  | 'AccessDenied'
  /** They might, if they let polkit ask for a password. */
  | 'InteractiveAuthorizationRequired'
  | 'NoSuchPod'
  | 'NoSuchImage'
  | 'NoSuchKey'
  | 'NoSuchTransfer'
  | 'InvalidArgument'
  | 'WrongState'
  | 'InUse'
  | 'Failed';

/** What a caller of the API is told: `io.rkt.Rkt1.Error.CODE`, and one line. */
export class ServiceError extends DomainError<ServiceErrorCode> {}

/** Any failure as the API tells it: a line for the caller, nothing of how we are built. */
export function asServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError)
    return new ServiceError(error.code, line(error.message), error);
  if (error instanceof DomainError) {
    const code = CODES.get(error.code) ?? 'Failed';
    return new ServiceError(code, line(error.message), error);
  }
  return new ServiceError(
    'Failed',
    line(error instanceof Error ? error.message : `${error}`),
    error,
  );
}

/** More of what somebody has sent is not sent back. */
const LONGEST = 1000;

/** A text as one line that any terminal bears, and not a long one. */
export function line(text: string): string {
  const plain = printable(text.trim().replace(/\s*[\n\r]\s*/g, ' '));
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST)}…` : plain;
}

/** Codes of the other domains that a caller can do something about. */
const CODES = new Map<string, ServiceErrorCode>([
  ['no-such-pod', 'NoSuchPod'],
  ['ambiguous-uuid', 'InvalidArgument'],
  ['bad-uuid', 'InvalidArgument'],
  ['wrong-state', 'WrongState'],
  ['busy', 'InUse'],
  ['not-found', 'NoSuchImage'],
  ['ambiguous', 'InvalidArgument'],
  ['bad-key', 'InvalidArgument'],
  ['bad-reference', 'InvalidArgument'],
  ['bad-prefix', 'InvalidArgument'],
]);
