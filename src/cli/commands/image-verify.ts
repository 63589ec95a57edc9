import { openStore } from '../../image/store.ts';
import { verifyImage } from '../../image/verify.ts';
import { runningOn } from '../../pod/images-in-use.ts';
import type { Context } from '../context.ts';
import { EXIT_FAILURE } from '../error.ts';
import { jsonFormat, jsonText } from '../output.ts';
import { imageJson, storedImage } from '../stored-image.ts';

/** Proves stored images against their keys, and repairs them; one that is beyond it fails the rest not. */
export async function run({ args, flags, globals, report, stdout }: Context): Promise<number> {
  const store = openStore(globals.dataDir);
  const isMounted = (tree: string): string | undefined => {
    const uuid = runningOn(globals.dataDir, tree);
    return uuid && `by the running pod ${uuid}`;
  };
  const format = jsonFormat(flags);
  const verified: object[] = [];
  let failures = 0;
  for (const text of args) {
    try {
      const image = storedImage(store, text);
      const repairs = await verifyImage(store, image, isMounted);
      verified.push({ ...imageJson(image), repaired: repairs });
      if (format) continue;
      const shown = `image: "${image.name}" ("${image.key}")`;
      for (const repair of repairs) stdout.write(`repaired ${shown}: ${repair}\n`);
      if (repairs.length === 0) stdout.write(`successfully verified ${shown}\n`);
    } catch (error) {
      failures++;
      report(error);
    }
  }
  if (format) stdout.write(jsonText(verified, format));
  return failures > 0 ? EXIT_FAILURE : 0;
}
