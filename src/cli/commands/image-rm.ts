import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { removeImage } from '../../image/remove.ts';
import { openStore } from '../../image/store.ts';
import { errnoOf } from '../../os/error.ts';
import { readIfExists } from '../../os/files.ts';
import { lockFile } from '../../os/lock.ts';
import { GROUPS, prepareLock } from '../../pod/layout.ts';
import { listPods } from '../../pod/pods.ts';
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
    const inUse = treesOfPods(dataDir);
    for (const key of keys)
      attempt(() => {
        removeImage(store, key, (tree) => inUse.has(tree));
        stdout.write(`successfully removed aci for image: "${key}"\n`);
        removed++;
      });
    noPodIsPrepared.release();
  }
  if (removed > 0) note(`${removed} image(s) successfully removed`);
  if (failures > 0) note(`${failures} image(s) cannot be removed`);
  return failures > 0 ? EXIT_FAILURE : 0;
}

/** The trees below the overlays of all pods, those that wait for their removal included. */
function treesOfPods(dataDir: string): ReadonlySet<string> {
  return new Set(
    listPods(dataDir, GROUPS).flatMap(({ folder }) => {
      const apps = join(folder, 'appsinfo');
      return namesIn(apps).flatMap((app) =>
        (readIfExists(join(apps, app, 'treeStoreID')) ?? '').split('\n'),
      );
    }),
  );
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
