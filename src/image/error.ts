import { DomainError } from '../os/error.ts';

/** What went wrong with an image, its reference or the store. */
export type ImageErrorCode =
  /** A reference that does not follow the grammar. */
  | 'bad-reference'
  /** An image key that does not follow the grammar: wrong prefix or too short. */
  | 'bad-key'
  /** More than one stored image answers to the reference. */
  | 'ambiguous'
  /** No such image, file, tag or platform. */
  | 'not-found'
  /** The bytes are no image: wrong type, damaged, truncated, or against the format's rules. */
  | 'bad-image'
  /** A manifest, config or index inside the image does not pass its schema. */
  | 'bad-manifest'
  /** The bytes are not those that the digest, size or key names. */
  | 'mismatch'
  /** A kind of image, media type, compression or platform that is not supported. */
  | 'unsupported'
  /** The image is not signed, or its signature is not trusted. */
  | 'untrusted'
  /** A program that the work needs is not installed. */
  | 'missing-program'
  /** Reading the input or writing the store failed (full disk, read-only). */
  | 'io'
  /** This user may not read, or write, the store. */
  | 'denied'
  /** A file or folder that would be overwritten is already there. */
  | 'exists'
  /** Something still uses the image. */
  | 'in-use';

/** An image could not be read, found, stored or built. */
export class ImageError extends DomainError<ImageErrorCode> {}
