import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { object, text } from '../../appc/schema.ts';
import { type HttpClient, type HttpResponse, readBytes } from '../../http/client.ts';
import { type DownloadRequest, download } from '../../http/download.ts';
import { HttpError, shownUrl } from '../../http/error.ts';
import type { DownloadSlot } from '../../http/slot.ts';
import type { DockerReference } from '../docker-reference.ts';
import { ImageError } from '../error.ts';
import { manifestTypes } from '../oci-layout.ts';
import type { Descriptor } from '../oci-schema.ts';
import { indexTypes } from '../oci-select.ts';
import { type Authorizer, authorise, denied } from './authorizer.ts';
import type { RegistryCredentials } from './credentials.ts';

/** Manifests, indexes and configs are smaller than this (distribution-spec: 4 MiB). */
const documentLimit = 4 * 1024 * 1024;

/** A manifest or an index whose digest has been checked, as far as one was promised. */
export interface Document {
  readonly bytes: Buffer;
  readonly digest: string;
  readonly mediaType: string;
}

export interface RegistryOptions {
  readonly client: HttpClient;
  readonly reference: DockerReference;
  /** What messages call the image: `docker://…`. */
  readonly where: string;
  /** Looked up when the registry asks for them. */
  readonly findCredentials: () => Promise<RegistryCredentials | undefined>;
}

const accept = [...manifestTypes, ...indexTypes].join(', ');
const problems = object({ errors: z.array(object({ message: z._default(text, '') })) });

/**
 * A repository in a registry (OCI distribution spec; Docker Registry HTTP API v2). Nothing is asked
 * before the first call; what is asked then is asked over HTTPS, or over plain HTTP where the client
 * may and there is no HTTPS.
 */
export class Registry {
  readonly #options: RegistryOptions;
  readonly #authorizer: Authorizer;
  #base: Promise<URL> | undefined;
  #authorization: Promise<string | undefined> = Promise.resolve(undefined);

  constructor(options: RegistryOptions) {
    const { client, where, reference, findCredentials } = options;
    let found: Promise<RegistryCredentials | undefined> | undefined;
    const credentials = () => {
      found ??= findCredentials();
      return found;
    };
    this.#options = options;
    this.#authorizer = { client, where, repository: reference.repository, credentials };
  }

  /** The digest of what a tag names now, where the registry tells without sending it. */
  async head(tag: string): Promise<string | undefined> {
    const headers = { accept };
    const response = await this.#ask(`manifests/${tag}`, { method: 'HEAD', headers });
    response.discard();
    return response.status === 200 ? response.header('docker-content-digest') : undefined;
  }

  /**
   * A manifest or index by tag or digest.
   *
   * @throws HttpError `status` with 404 when there is none; ImageError `mismatch`, `unsupported`
   */
  async manifest(name: string): Promise<Document> {
    const { where } = this.#options;
    const response = await this.#ask(`manifests/${name}`, { headers: { accept } });
    if (response.status !== 200) throw await this.#refused(response, `manifest ${name}`);
    const bytes = await readBytes(response, documentLimit);
    const promised = name.includes(':') ? name : response.header('docker-content-digest');
    const digest = digestLike(promised, bytes, where);
    if (promised !== undefined && digest !== promised)
      throw new ImageError(
        'mismatch',
        `manifest ${name} of ${where} has digest ${digest}, not ${promised}`,
      );
    const [mediaType = ''] = (response.header('content-type') ?? '').split(';');
    return { bytes, digest, mediaType: mediaType.trim().toLowerCase() };
  }

  /** A small blob in memory: a config, a signature. Throws ImageError `mismatch`, HttpError. */
  async blob({ digest, size }: Descriptor, kind: string): Promise<Buffer> {
    const what = `${kind} ${digest}`;
    const { where } = this.#options;
    const response = await this.#ask(`blobs/${digest}`, {});
    if (response.status !== 200) throw await this.#refused(response, what);
    const bytes = await readBytes(response, documentLimit);
    const found = digestLike(digest, bytes, where);
    if (bytes.length !== size || found !== digest)
      throw new ImageError(
        'mismatch',
        `${what} of ${where} has ${bytes.length} bytes and digest ${found}; ${size} bytes and ${digest} are promised`,
      );
    return bytes;
  }

  /** Downloads a large blob to a slot, from where an earlier attempt ended; checks size and digest. */
  async download(
    slot: DownloadSlot,
    { digest, size }: Descriptor,
    options: Pick<DownloadRequest, 'progress' | 'signal'>,
  ): Promise<void> {
    const path = `blobs/${digest}`;
    const url = await this.#url(path);
    for (let tries = 1; ; tries++) {
      const authorization = await this.#authorization;
      try {
        await download(this.#options.client, slot, {
          ...options,
          url: url.href,
          digest,
          size,
          ...(authorization !== undefined && { authorization }),
        });
        return;
      } catch (error) {
        if (!(error instanceof HttpError) || error.status !== 401 || tries > 1) throw error;
        // A token lives for minutes, the download of many layers may take longer.
        (await this.#ask(path, { method: 'HEAD' })).discard();
      }
    }
  }

  /** One request below the repository, authorised as the registry wants it. */
  async #ask(
    path: string,
    request: { method?: 'HEAD'; headers?: Record<string, string> },
  ): Promise<HttpResponse> {
    const url = await this.#url(path);
    for (let tries = 1; ; tries++) {
      const used = this.#authorization;
      const authorization = await used;
      const response = await this.#options.client.request(url, {
        ...request,
        ...(authorization !== undefined && { authorization }),
      });
      // Only the registry itself may ask for its credentials, not where it redirects to.
      if (response.status !== 401 || response.url.origin !== url.origin) return response;
      response.discard();
      if (tries > 1) throw await denied(this.#authorizer, 401, url);
      if (this.#authorization === used) this.#challenged(url, response);
    }
  }

  #challenged(registry: URL, response: HttpResponse): void {
    const header = response.header('www-authenticate') ?? '';
    this.#authorization = authorise(this.#authorizer, registry, header);
    this.#authorization.catch(() => {});
  }

  async #url(path: string): Promise<URL> {
    this.#base ??= this.#connect();
    return new URL(`${this.#options.reference.repository}/${path}`, await this.#base);
  }

  /** Finds the registry, and what it asks of those who come (distribution spec, "end-1"). */
  async #connect(): Promise<URL> {
    const { client, reference, where } = this.#options;
    const ping = async (scheme: string) => {
      const url = new URL(`${scheme}://${reference.registry}/v2/`);
      return { url, response: await client.request(url) };
    };
    const { url, response } = await ping('https').catch((error: unknown) => {
      const noTls = error instanceof HttpError && ['unreachable', 'tls'].includes(error.code);
      if (noTls && client.plainHttp) return ping('http');
      throw error;
    });
    response.discard();
    if (response.status === 401 && response.url.origin === url.origin)
      this.#challenged(url, response);
    else if (response.status !== 200)
      throw new HttpError(
        'status',
        `cannot get ${where}: ${url.host} is no registry: ${shownUrl(response.url)} answers with HTTP status code ${response.status}`,
        undefined,
        response.status,
      );
    return url;
  }

  /** The error for an answer that is no use, in the registry's own words. */
  async #refused(response: HttpResponse, what: string): Promise<HttpError | ImageError> {
    const { where } = this.#options;
    const { status } = response;
    if (status === 401 || status === 403) {
      response.discard();
      return denied(this.#authorizer, status, response.url);
    }
    const words = await readBytes(response, 65_536)
      .then(messageOf)
      .catch(() => '');
    const said = words === '' ? '' : `: ${words}`;
    return new HttpError(
      'status',
      status === 404
        ? `cannot get ${where}: the registry has no ${what}${said}`
        : `cannot get ${what} of ${where}: bad HTTP status code: ${status}${said}`,
      undefined,
      status,
    );
  }
}

function messageOf(body: Buffer): string {
  const { errors } = problems.parse(JSON.parse(body.toString()));
  return (errors[0]?.message ?? '').replace(/[\p{Cc}\s]+/gu, ' ').slice(0, 200);
}

/** The digest of some bytes by the algorithm of another digest; SHA-256 by default. */
function digestLike(other: string | undefined, bytes: Buffer, where: string): string {
  const algorithm = other?.split(':')[0] ?? 'sha256';
  if (algorithm !== 'sha256' && algorithm !== 'sha512')
    throw new ImageError(
      'unsupported',
      `cannot check ${where}: digests of ${algorithm} are not supported`,
    );
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}
