import { exportAci } from '../../image/export.ts';
import { openStore } from '../../image/store.ts';
import type { Context } from '../context.ts';
import { storedImage } from '../stored-image.ts';

/** Writes the ACI of a stored image to a file. */
export async function run({ args, flags, globals }: Context): Promise<number> {
  const [text = '', output = ''] = args;
  const store = openStore(globals.dataDir);
  const image = storedImage(store, text);
  store.touch(image.key);
  await exportAci(store, image, output, flags.bool('overwrite'));
  return 0;
}
