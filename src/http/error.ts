import { DomainError } from '../os/error.ts';

export type HttpErrorCode =
  /** Not a URL that can be asked: another scheme, or a name and password in it. */
  | 'bad-url'
  /** Plain HTTP where only HTTPS is allowed. */
  | 'insecure'
  /** No connection: name, route, refusal, proxy, or time. */
  | 'unreachable'
  /** The server's certificate is not trusted, or TLS failed. */
  | 'tls'
  /** An answer with another status than asked for; see `status`. */
  | 'status'
  /** Too many redirects, or one that leads nowhere. */
  | 'redirect'
  /** The connection ended, or fell silent, inside an answer. */
  | 'interrupted'
  /** More bytes than allowed. */
  | 'too-large'
  /** Not the size or digest that was promised. */
  | 'mismatch'
  /** The answer could not be written to the disk. */
  | 'io';

/** Something could not be had by HTTP. */
export class HttpError extends DomainError<HttpErrorCode> {
  /** Of the answer, when there was one. */
  readonly status: number | undefined;

  constructor(code: HttpErrorCode, message: string, cause?: unknown, status?: number) {
    super(code, message, cause);
    this.status = status;
  }
}

/** A URL as messages show it: a query may hold a secret. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}
