import { collectImages } from '../../image/image-gc.ts';
import { openStore, type StoredImage } from '../../image/store.ts';
import { lockFile } from '../../os/lock.ts';
import { imagesInUse } from '../../pod/images-in-use.ts';
import { prepareLock } from '../../pod/layout.ts';
import type { Context } from '../context.ts';
import { durationFlag } from '../duration.ts';
import { EXIT_FAILURE } from '../error.ts';
import { jsonFormat, jsonText } from '../output.ts';
import { imageJson } from '../stored-image.ts';

/** Removes images that nobody has used for a while, and trees that nothing needs. */
export async function run({ flags, globals, note, report, stdout }: Context): Promise<number> {
  const gracePeriod = durationFlag(flags, 'grace-period');
  const { dataDir } = globals;
  const format = jsonFormat(flags);
  let failures = 0;
  const images: StoredImage[] = [];
  const trees: string[] = [];
  const noPodIsPrepared = lockFile(prepareLock(dataDir), 'exclusive');
  try {
    const options = { gracePeriod, inUse: imagesInUse(dataDir) };
    collectImages(openStore(dataDir), options, {
      removed(image) {
        images.push(image);
        if (!format) stdout.write(`successfully removed aci for image: "${image.key}"\n`);
      },
      removedTrees(ids) {
        trees.push(...ids);
        note(`${ids.length} unused tree(s) removed`);
      },
      failed(error) {
        failures++;
        report(error);
      },
    });
  } finally {
    noPodIsPrepared.release();
  }
  if (format) stdout.write(jsonText({ images: images.map(imageJson), trees }, format));
  if (images.length > 0) note(`${images.length} image(s) successfully removed`);
  if (failures > 0) note(`${failures} image(s) cannot be removed`);
  return failures > 0 ? EXIT_FAILURE : 0;
}
