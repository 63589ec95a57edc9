import { extractImage } from '../../image/extract.ts';
import { openStore } from '../../image/store.ts';
import type { Context } from '../context.ts';
import { storedImage } from '../stored-image.ts';

/** Unpacks a stored image, without what it depends on. */
export async function run({ args, flags, globals }: Context): Promise<number> {
  const [text = '', target = ''] = args;
  const store = openStore(globals.dataDir);
  const image = storedImage(store, text);
  store.touch(image.key);
  await extractImage(store, {
    image,
    target,
    rendered: false,
    rootfsOnly: flags.bool('rootfs-only'),
    overwrite: flags.bool('overwrite'),
  });
  return 0;
}
