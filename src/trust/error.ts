import { DomainError } from '../os/error.ts';

export type TrustErrorCode =
  /** No key is trusted for the name. */
  | 'no-keys'
  /** The signature is by a key that is not trusted for the name. */
  | 'unknown-signer'
  /** The signature is by a key that an empty file masks. */
  | 'masked-key'
  /** The signature is by a trusted key that must not be used: expired, revoked, too weak. */
  | 'unusable-key'
  /** The signature is damaged, too weak, or not over these bytes. */
  | 'bad-signature'
  /** A key file can't be read or holds no public key. */
  | 'bad-key'
  /** A key file is named otherwise than its key. */
  | 'fingerprint-mismatch'
  /** The policy, or a file beside it, does not follow its format. */
  | 'bad-policy'
  /** The policy or a missing signature forbids the image. */
  | 'rejected'
  /** The user was asked and said no, or could not be asked. */
  | 'not-accepted'
  /** A prefix that names no images. */
  | 'bad-prefix'
  /** No such key in the keyring. */
  | 'not-found'
  /** gpg is missing or failed. */
  | 'gpg'
  /** A file that would be overwritten is already there. */
  | 'exists'
  /** A file or folder can't be read or written. */
  | 'io';

/** Something is not trusted, or the keyring, a key or the policy is not as it must be. */
export class TrustError extends DomainError<TrustErrorCode> {}
