import { collectImages } from '../../image/image-gc.ts';
import { openStore } from '../../image/store.ts';
import { lockFile } from '../../os/lock.ts';
import { imagesInUse } from '../../pod/images-in-use.ts';
import { prepareLock } from '../../pod/layout.ts';
import type { Context } from '../context.ts';
import { durationFlag } from '../duration.ts';
import { EXIT_FAILURE } from '../error.ts';

/** Removes images that nobody has used for a while, and trees that nothing needs. */
export async function run({ flags, globals, note, report, stdout }: Context): Promise<number> {
  const gracePeriod = durationFlag(flags, 'grace-period');
  const { dataDir } = globals;
  let failures = 0;
  let removed = 0;
  const noPodIsPrepared = lockFile(prepareLock(dataDir), 'exclusive');
  try {
    const options = { gracePeriod, inUse: imagesInUse(dataDir) };
    collectImages(openStore(dataDir), options, {
      removed({ key }) {
        removed++;
        stdout.write(`successfully removed aci for image: "${key}"\n`);
      },
      removedTrees: (ids) => note(`${ids.length} unused tree(s) removed`),
      failed(error) {
        failures++;
        report(error);
      },
    });
  } finally {
    noPodIsPrepared.release();
  }
  if (removed > 0) note(`${removed} image(s) successfully removed`);
  if (failures > 0) note(`${failures} image(s) cannot be removed`);
  return failures > 0 ? EXIT_FAILURE : 0;
}
