import { signFile } from '../../trust/sign.ts';
import type { Context } from '../context.ts';

/** Signs an image with the user's own gpg, and prints where the signature is. */
export async function run({ args, flags, stdout }: Context): Promise<number> {
  const [file = ''] = args;
  const output = flags.value('output') ?? `${file}.asc`;
  await signFile(file, output, flags.value('key'));
  stdout.write(`${output}\n`);
  return 0;
}
