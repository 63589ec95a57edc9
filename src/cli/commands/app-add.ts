import { parseOwnVolumeFlag } from '../../appc/mutable-flags.ts';
import { resolveImage } from '../../image/resolve.ts';
import { openStore } from '../../image/store.ts';
import { addApp } from '../../pod/mutable.ts';
import { findPod } from '../../pod/pods.ts';
import { appRequest, readFlag } from '../app-args.ts';
import type { Context } from '../context.ts';
import { usageError } from '../error.ts';
import { imageSource } from '../image-source.ts';

/** Adds an app to a running pod, from an image of the store, and prints its name. */
export async function run(context: Context): Promise<number> {
  const { globals, images, stdout } = context;
  const [uuid, image] = images;
  if (!uuid || !image || images.length > 2 || uuid.args)
    throw usageError('name a pod by its UUID, and one image');
  const pod = findPod(globals.dataDir, uuid.reference);
  const store = openStore(globals.dataDir);
  const found = await resolveImage(store, image.reference, imageSource(context, 'never'));
  const app = appRequest(image);
  app.mounts = [...app.mounts, ...readFlag(image.flags, 'mnt-volume', parseOwnVolumeFlag)];
  const name = await addApp(pod, { store, image: found, app, debug: globals.debug });
  stdout.write(`${name}\n`);
  return 0;
}
