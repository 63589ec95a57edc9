import { convertImage, parseConvertTarget } from '../../image/convert.ts';
import { compressions } from '../../image/pack.ts';
import { resolveImage } from '../../image/resolve.ts';
import { openStore } from '../../image/store.ts';
import { lockFile } from '../../os/lock.ts';
import { prepareLock } from '../../pod/layout.ts';
import type { Context } from '../context.ts';
import { imageSource } from '../image-source.ts';
import { pullPolicy } from '../run-args.ts';

/** Writes an image in another format; prints the ACI's key, or the digest of the OCI manifest. */
export async function run(context: Context): Promise<number> {
  const { args, flags, globals, note, stdout } = context;
  const [text = '', output = ''] = args;
  const target = parseConvertTarget(output);
  const compression = flags.value('compression');
  const store = openStore(globals.dataDir);
  const options = imageSource(context, pullPolicy(flags));
  const image = await resolveImage(store, text, options);
  await options.client?.close();
  const imagesStay = lockFile(prepareLock(globals.dataDir), 'shared');
  try {
    const result = await convertImage(store, image, target, {
      compression: compressions.find((kind) => kind === compression) ?? 'gzip',
      overwrite: flags.bool('overwrite'),
      warn: note,
    });
    stdout.write(`${result}\n`);
  } finally {
    imagesStay.release();
  }
  return 0;
}
