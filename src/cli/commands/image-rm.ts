import { removeImage } from '../../image/remove.ts';
import { openStore } from '../../image/store.ts';
import { lockFile } from '../../os/lock.ts';
import { imagesInUse } from '../../pod/images-in-use.ts';
import { prepareLock } from '../../pod/layout.ts';
import type { Context } from '../context.ts';
import { EXIT_FAILURE } from '../error.ts';
import { storedImage } from '../stored-image.ts';

/** Removes images from the store; those that can't be removed don't keep the others. */
export async function run({ args, globals, note, report, stdout }: Context): Promise<number> {
  const { dataDir } = globals;
  const store = openStore(dataDir);
  // Asked first, so that nothing is locked, and no folder made, for images that are not there.
  const keys = new Set<string>();
  let failures = 0;
  const attempt = (step: () => void) => {
    try {
      step();
    } catch (error) {
      failures++;
      report(error);
    }
  };
  for (const text of args) attempt(() => keys.add(storedImage(store, text).key));
  let removed = 0;
  if (keys.size > 0) {
    const noPodIsPrepared = lockFile(prepareLock(dataDir), 'exclusive');
    const { trees } = imagesInUse(dataDir);
    for (const key of keys)
      attempt(() => {
        removeImage(store, key, (tree) => trees.has(tree));
        stdout.write(`successfully removed aci for image: "${key}"\n`);
        removed++;
      });
    noPodIsPrepared.release();
  }
  if (removed > 0) note(`${removed} image(s) successfully removed`);
  if (failures > 0) note(`${failures} image(s) cannot be removed`);
  return failures > 0 ? EXIT_FAILURE : 0;
}
