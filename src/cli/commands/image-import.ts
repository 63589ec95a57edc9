import { parseImageReference } from '../../image/reference.ts';
import { resolveImage } from '../../image/resolve.ts';
import { openStore } from '../../image/store.ts';
import type { Context } from '../context.ts';
import { CliError } from '../error.ts';
import { httpClient } from '../image-source.ts';
import { aciTrust, manifestTrust } from '../image-trust.ts';
import { shortKey } from '../output.ts';

const local = ['file', 'oci', 'oci-archive', 'docker-archive'];

/** Stores images of local files and prints their keys, in order. The first failure ends it. */
export async function run(context: Context): Promise<number> {
  const { args, flags, globals, note, stdout } = context;
  const store = openStore(globals.dataDir);
  for (const text of args) {
    if (!local.includes(parseImageReference(text).kind))
      throw new CliError('input', `cannot import ${text}: it is not a local file or folder`);
    const { key } = await resolveImage(store, text, {
      pullPolicy: 'update',
      insecure: { image: globals.insecure.has('image') },
      warn: note,
      info: note,
      verify: aciTrust(context, undefined),
      ...manifestTrust(context, httpClient(context), note),
    });
    stdout.write(`${flags.bool('full') ? key : shortKey(key)}\n`);
  }
  return 0;
}
