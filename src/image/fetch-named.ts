import { HttpError } from '../http/error.ts';
import { type Attempt, discoverImage } from './discovery.ts';
import { ImageError } from './error.ts';
import { fetchAci } from './fetch-aci.ts';
import { checkManifest, shownName, type WantedImage } from './named.ts';
import type { FetchOptions } from './resolve-options.ts';
import type { Store, StoredImage } from './store.ts';

/**
 * The image of a name, found by discovery, downloaded from the first of its endpoints that has it.
 *
 * @throws ImageError `not-found`, `mismatch`, and as `fetchAci`
 */
export async function fetchNamed(
  store: Store,
  wanted: WantedImage,
  options: FetchOptions,
): Promise<StoredImage> {
  const { found, attempts } = await discoverImage(options.client, wanted.name, wanted.labels);
  const failed = [...attempts];
  for (const { aci, signature } of found)
    try {
      return await fetchAci(
        store,
        {
          url: aci,
          signatureUrl: signature,
          plainHttp: false,
          name: wanted.name,
          accept: (manifest) => checkManifest(manifest, wanted),
          latest: wanted.labels.every(({ name }) => name !== 'version'),
        },
        options,
      );
    } catch (error) {
      if (found.length === 1 || !isAbsence(error)) throw error;
      failed.push({ url: aci, why: error.message });
    }
  throw notDiscovered(wanted, found.length, failed);
}

/** Whether an endpoint does not have the image, or not its signature; the next one may. */
function isAbsence(error: unknown): error is Error {
  return error instanceof Error && (error instanceof HttpError || error.cause instanceof HttpError);
}

/** ImageError `not-found` for a name with nothing behind it, with all that was tried. */
export function notDiscovered(
  wanted: WantedImage,
  endpoints: number,
  attempts: readonly Attempt[],
): ImageError {
  const tried = attempts.map(({ url, why }) => (why.includes(url) ? why : `${url}: ${why}`));
  const what = endpoints === 0 ? 'no endpoints discovered' : 'no endpoint has it';
  return new ImageError(
    'not-found',
    `discovery failed for ${shownName(wanted)}: ${what} (${tried.join('; ')})`,
  );
}
