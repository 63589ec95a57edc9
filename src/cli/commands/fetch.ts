import { parseImageReference } from '../../image/reference.ts';
import { resolveImage } from '../../image/resolve.ts';
import { openStore } from '../../image/store.ts';
import type { Context, ImageArgument } from '../context.ts';
import { CliError, usageError } from '../error.ts';
import { imageSource } from '../image-source.ts';
import { shortKey } from '../output.ts';
import { pullPolicy } from '../run-args.ts';

/** Brings images into the store and prints their keys, in order. The first failure ends it. */
export async function run(context: Context): Promise<number> {
  const { images, flags, globals, stdout } = context;
  if (images.length === 0) throw usageError('must provide at least one image');
  for (const image of images) check(image);
  const store = openStore(globals.dataDir);
  const options = imageSource(context, pullPolicy(flags));
  for (const { reference, flags: own } of images) {
    const signature = own.value('signature');
    const { key } = await resolveImage(store, reference, {
      ...options,
      ...(signature !== undefined && { signature }),
    });
    stdout.write(`${flags.bool('full') ? key : shortKey(key)}\n`);
  }
  await options.client?.close();
  return 0;
}

function check({ reference, args }: ImageArgument): void {
  if (args) throw usageError('an image that is fetched takes no arguments (--)');
  if (parseImageReference(reference).kind === 'hash')
    throw new CliError('input', `cannot fetch ${reference}: a key does not tell where an image is`);
}
