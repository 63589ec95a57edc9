import { createReadStream } from 'node:fs';
import { posix } from 'node:path';
import { AppcError, type ImageManifest } from '../appc/index.ts';
import { parseImageManifest } from '../appc/parse.ts';
import { decompress } from './decompress.ts';
import { ImageError } from './error.ts';
import { compressionOfFile } from './oci-archive.ts';
import { reason } from './store.ts';
import { TarWalker } from './tar-walker.ts';

/**
 * The manifest of an ACI file, which is read as far as that only. Nothing else of it is checked.
 *
 * @param where what messages call it
 * @throws ImageError `bad-image`, `bad-manifest`, `io`
 */
export async function readAciManifest(path: string, where = path): Promise<ImageManifest> {
  let text: string | undefined;
  const walker = new TarWalker(({ name, type }) => {
    if (type !== 'file' || posix.join('/', name) !== '/manifest') return 'drop';
    return {
      capture(content) {
        text ??= content.toString('utf8');
      },
    };
  });
  const file = createReadStream(path);
  try {
    for await (const chunk of decompress(file, compressionOfFile(path))) {
      walker.push(chunk);
      if (text !== undefined) return parseImageManifest(text);
    }
    throw new ImageError('bad-image', 'it has no "manifest"');
  } catch (error) {
    const code = error instanceof ImageError ? error.code : 'io';
    throw new ImageError(
      error instanceof AppcError ? 'bad-manifest' : code,
      `read image ${where}: ${reason(error)}`,
      error,
    );
  } finally {
    file.destroy();
  }
}
