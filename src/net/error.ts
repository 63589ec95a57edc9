import { DomainError } from '../os/error.ts';

export type NetErrorCode =
  | 'not-found'
  | 'bad-config'
  | 'no-plugin'
  | 'plugin'
  | 'bad-result'
  | 'port-in-use'
  | 'firewall'
  | 'unsupported';

/** A network cannot be read, joined, checked or left. */
export class NetError extends DomainError<NetErrorCode> {}
