import { removeImage } from '../../image/remove.ts';
import { openStore, type StoredImage } from '../../image/store.ts';
import { lockFile } from '../../os/lock.ts';
import { imagesInUse } from '../../pod/images-in-use.ts';
import { prepareLock } from '../../pod/layout.ts';
import type { Context } from '../context.ts';
import { EXIT_FAILURE } from '../error.ts';
import { jsonFormat, jsonText } from '../output.ts';
import { imageJson, storedImage } from '../stored-image.ts';

/** Removes images from the store; those that can't be removed don't keep the others. */
export async function run({
  args,
  flags,
  globals,
  note,
  report,
  stdout,
}: Context): Promise<number> {
  const { dataDir } = globals;
  const store = openStore(dataDir);
  // Asked first, so that nothing is locked, and no folder made, for images that are not there.
  const wanted = new Map<string, StoredImage>();
  let failures = 0;
  const attempt = (step: () => void) => {
    try {
      step();
    } catch (error) {
      failures++;
      report(error);
    }
  };
  for (const text of args)
    attempt(() => {
      const image = storedImage(store, text);
      wanted.set(image.key, image);
    });
  const format = jsonFormat(flags);
  const removed: StoredImage[] = [];
  if (wanted.size > 0) {
    const noPodIsPrepared = lockFile(prepareLock(dataDir), 'exclusive');
    const { trees } = imagesInUse(dataDir);
    for (const [key, image] of wanted)
      attempt(() => {
        removeImage(store, key, (tree) => trees.has(tree));
        removed.push(image);
        if (!format) stdout.write(`successfully removed aci for image: "${key}"\n`);
      });
    noPodIsPrepared.release();
  }
  if (format) stdout.write(jsonText(removed.map(imageJson), format));
  if (removed.length > 0) note(`${removed.length} image(s) successfully removed`);
  if (failures > 0) note(`${failures} image(s) cannot be removed`);
  return failures > 0 ? EXIT_FAILURE : 0;
}
