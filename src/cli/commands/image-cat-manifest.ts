import { openStore } from '../../image/store.ts';
import type { Context } from '../context.ts';
import { jsonText } from '../output.ts';
import { storedImage } from '../stored-image.ts';

/** Prints the manifest of a stored image. */
export async function run({ args, flags, globals, stdout }: Context): Promise<number> {
  const { manifest } = storedImage(openStore(globals.dataDir), args[0] ?? '');
  stdout.write(jsonText(manifest, flags.bool('pretty-print') ? 'json-pretty' : 'json'));
  return 0;
}
