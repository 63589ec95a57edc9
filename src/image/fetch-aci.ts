import { dirname, join } from 'node:path';
import type { ImageManifest } from '../appc/types.ts';
import { type Download, download } from '../http/download.ts';
import { HttpError } from '../http/error.ts';
import { type DownloadSlot, takeSlot } from '../http/slot.ts';
import { ImageError } from './error.ts';
import { importAci } from './import-aci.ts';
import { nameAgain } from './publish.ts';
import {
  cacheHeaders,
  isFresh,
  type RemoteRecord,
  readRemote,
  writeRemote,
} from './remote-record.ts';
import type { FetchOptions } from './resolve-options.ts';
import { fetchSignature, unverifiable, verifySignature } from './signature.ts';
import type { Store, StoredImage } from './store.ts';

export interface RemoteAci {
  readonly url: string;
  readonly signatureUrl: string;
  /** The user wrote the URL, so it may be one of plain HTTP. */
  readonly plainHttp: boolean;
  /** What the image must be called, and so whose keys count; undefined: as its manifest says. */
  readonly name?: string;
  /** Throws when the manifest is not what was asked for. */
  readonly accept: (manifest: ImageManifest) => void;
  /** See ImageSource. */
  readonly latest: boolean;
}

/**
 * The image at a URL: what is stored of it as far as the pull policy and the server's cache headers
 * allow, else downloaded, verified and imported. Of two that want it at once one downloads.
 *
 * @throws HttpError, ImageError `untrusted`, `not-found`, and as for importing
 */
export async function fetchAci(
  store: Store,
  remote: RemoteAci,
  options: FetchOptions,
): Promise<StoredImage> {
  const { pullPolicy, insecure, verify } = options;
  const known = readRemote(store, remote.url);
  if (known && pullPolicy !== 'update') return accepted(known.image);
  if (known && isFresh(known.record) && trusted(known.record)) return again(known.image);
  if (pullPolicy === 'never')
    throw new ImageError(
      'not-found',
      `image ${remote.url} is not in the store, and the pull policy "never" forbids to fetch it`,
    );
  if (!insecure.image && !verify) throw unverifiable(remote.url);

  const start = Date.now();
  store.create();
  const slot = await takeSlot(store.path('tmp'), remote.url, () =>
    options.info?.(`another process downloads ${remote.url}, waiting for it`),
  );
  try {
    const now = readRemote(store, remote.url);
    if (now && now.record.askedAt >= start && trusted(now.record)) return again(now.image);
    return await fetchInto(slot, store, remote, now, options);
  } finally {
    slot.release();
  }

  function trusted(record: RemoteRecord): boolean {
    return insecure.image || record.verified;
  }
  function accepted(image: StoredImage): StoredImage {
    remote.accept(image.manifest);
    return image;
  }
  function again(image: StoredImage): StoredImage {
    accepted(image);
    nameAgain(store, image, remote.latest);
    return image;
  }
}

async function fetchInto(
  slot: DownloadSlot,
  store: Store,
  remote: RemoteAci,
  known: ReturnType<typeof readRemote>,
  options: FetchOptions,
): Promise<StoredImage> {
  const { url } = remote;
  const verified = !options.insecure.image;
  const usable = known && (!verified || known.record.verified) ? known : undefined;
  const etag = usable?.record.etag;
  const signature = verified ? new Signature(slot, remote, options) : undefined;
  // A missing signature is found before the download; one that is there may not be needed at all.
  if (etag === undefined) await signature?.fetch();
  const answer = await downloadAci(slot, remote, etag, options);
  const noted = { ...cacheHeaders(answer), url, askedAt: Date.now() };
  if (usable && !answer.modified) {
    slot.remove();
    remote.accept(usable.image.manifest);
    nameAgain(store, usable.image, remote.latest);
    writeRemote(store, { ...usable.record, ...noted });
    return usable.image;
  }
  try {
    const signedFor = await signature?.check();
    if (!verified) options.warn(`image ${url} is taken unverified (--insecure-options=image)`);
    const image = await importAci(store, slot.file, {
      source: { reference: url, latest: remote.latest },
      take: true,
      warn: options.warn,
      accept(manifest) {
        remote.accept(manifest);
        signedFor?.(manifest);
      },
    });
    writeRemote(store, { ...noted, key: image.key, verified });
    return image;
  } finally {
    slot.remove();
  }
}

async function downloadAci(
  slot: DownloadSlot,
  { url, plainHttp }: RemoteAci,
  etag: string | undefined,
  { client, progress }: FetchOptions,
): Promise<Download> {
  const bar = progress?.start(url);
  try {
    return await download(client, slot, {
      url,
      plainHttp,
      ...(etag !== undefined && { etag }),
      ...(bar && { progress: bar.update }),
    });
  } finally {
    bar?.end();
  }
}

/** The signature of an image on a server: got before the image, or after it where it is not ready. */
class Signature {
  readonly #slot: DownloadSlot;
  readonly #remote: RemoteAci;
  readonly #options: FetchOptions;
  #file: string | undefined;

  constructor(slot: DownloadSlot, remote: RemoteAci, options: FetchOptions) {
    this.#slot = slot;
    this.#remote = remote;
    this.#options = options;
    this.#file = options.signature;
  }

  async fetch(): Promise<void> {
    const { signatureUrl, plainHttp } = this.#remote;
    if (this.#file !== undefined) return;
    const file = join(dirname(this.#slot.file), 'signature');
    if (await fetchSignature(this.#options.client, signatureUrl, plainHttp, file))
      this.#file = file;
  }

  /** Gives what must accept the manifest. */
  async check(): Promise<(manifest: ImageManifest) => void> {
    const { url, signatureUrl, name } = this.#remote;
    await this.fetch();
    if (this.#file === undefined)
      throw new HttpError(
        'status',
        `the signature ${signatureUrl} is not ready yet (HTTP status 202), try again later`,
        undefined,
        202,
      );
    const signed = { where: url, file: this.#slot.file, signature: this.#file, name };
    return verifySignature(this.#options, signed);
  }
}
