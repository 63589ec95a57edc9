import { buildAci } from '../../image/build.ts';
import { compressions } from '../../image/pack.ts';
import type { Context } from '../context.ts';

/** Builds an ACI and prints the key that it will have in a store. */
export async function run({ args, flags, stdout }: Context): Promise<number> {
  const [folder = '', output = ''] = args;
  const manifest = flags.value('manifest');
  const compression = flags.value('compression');
  const { key } = await buildAci({
    folder,
    output,
    ...(manifest === undefined ? {} : { manifest }),
    compression: compressions.find((kind) => kind === compression) ?? 'gzip',
    overwrite: flags.bool('overwrite'),
  });
  stdout.write(`${key}\n`);
  return 0;
}
