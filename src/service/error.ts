import { ConfigError } from '../config/index.ts';
import { DomainError, errnoOf } from '../os/error.ts';
import { printable } from '../os/printable.ts';

/** What can go wrong, as the API names it, and what that means: io.rkt.Rkt1(5). */
export const SERVICE_ERRORS = {
  AccessDenied: 'The caller may not do that.',
  InteractiveAuthorizationRequired:
    'The caller might, if they let polkit ask for a password; on the bus org.freedesktop.DBus.Error.InteractiveAuthorizationRequired.',
  NoSuchPod: 'There is no such pod.',
  NoSuchImage: 'There is no such image in the store.',
  NoSuchKey: 'That key is not trusted for that prefix.',
  NoSuchTransfer: 'There is no such transfer, or it has ended.',
  InvalidArgument: 'An argument or option cannot be what it is.',
  WrongState: 'The pod is in a state in which that cannot be done.',
  InUse: 'Somebody else uses it.',
  BadConfiguration:
    'A file of the configuration is bad: the message has its path and what is wrong. As soon as it is mended calls work.',
  Failed: 'Anything else: the message says what.',
} as const;
export type ServiceErrorCode = keyof typeof SERVICE_ERRORS;

/** What a caller of the API is told: `io.rkt.Rkt1.Error.CODE`, and one line. */
export class ServiceError extends DomainError<ServiceErrorCode> {}

/** Any failure as the API tells it: a line for the caller, nothing of how we are built. */
export function asServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError)
    return new ServiceError(error.code, line(error.message), error);
  if (error instanceof ConfigError)
    return new ServiceError('BadConfiguration', line(`${error.message}${whyOf(error)}`), error);
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

/** Why a file cannot be read. What a parser says has parts of the file in it, which may be secret. */
function whyOf({ cause }: ConfigError): string {
  return errnoOf(cause) !== undefined && cause instanceof Error ? `: ${cause.message}` : '';
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
