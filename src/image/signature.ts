import { writeFileSync } from 'node:fs';
import type { ImageManifest } from '../appc/types.ts';
import { type HttpClient, readBytes, statusError } from '../http/client.ts';
import type { HttpError } from '../http/error.ts';
import { ImageError } from './error.ts';
import { checkManifest } from './named.ts';
import type { ResolveOptions } from './resolve-options.ts';

/** Detached signatures have a few hundred bytes each. */
const signatureLimit = 1024 * 1024;

/**
 * Downloads a signature to `file`; false when the server says that it is not ready yet (202).
 *
 * @throws ImageError `untrusted` when there is none; HttpError
 */
export async function fetchSignature(
  client: HttpClient,
  url: string,
  plainHttp: boolean,
  file: string,
): Promise<boolean> {
  const answer = await client.request(url, { plainHttp });
  if (answer.status === 202) {
    answer.discard();
    return false;
  }
  if (answer.status !== 200) throw missing(url, statusError(answer));
  writeFileSync(file, await readBytes(answer, signatureLimit), { mode: 0o600 });
  return true;
}

/**
 * Verifies with what the options give, and tells who signed. What it returns must accept the manifest
 * before the image is stored: it carries the name whose keys have counted.
 *
 * @throws ImageError `untrusted`, and what `verify` throws
 */
export async function verifySignature(
  { verify, info }: ResolveOptions,
  signed: { where: string; file: string; signature: string; name: string | undefined },
): Promise<(manifest: ImageManifest) => void> {
  const { where } = signed;
  if (!verify) throw unverifiable(where);
  const { signers, name } = await verify(signed);
  info?.(`${where} is signed by ${signers.join(', ')}`);
  return (manifest) => checkManifest(manifest, { name, labels: [] });
}

/** There is no way to check `where`, so only the user can vouch for it. */
export function unverifiable(where: string): ImageError {
  return new ImageError(
    'untrusted',
    `image ${where} is not verified, and has no signature that could be checked; --insecure-options=image takes it as it is`,
  );
}

function missing(url: string, error: HttpError): ImageError | HttpError {
  if (error.status !== 404 && error.status !== 410) return error;
  return new ImageError(
    'untrusted',
    `there is no signature at ${url} (HTTP status ${error.status}); --signature=FILE names one, --insecure-options=image takes the image as it is`,
    error,
  );
}
