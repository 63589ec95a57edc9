import { removeKey } from '../../trust/list.ts';
import type { Context } from '../context.ts';
import { CliError } from '../error.ts';

/** Ends the trust in a key. */
export async function run({ args, flags, globals, stdout }: Context): Promise<number> {
  const [fingerprint = ''] = args;
  const prefix = flags.value('prefix');
  const root = flags.bool('root');
  if (root && prefix !== undefined)
    throw new CliError('usage', '--root and --prefix usage mutually exclusive');
  const scope = root || prefix !== undefined ? { prefix } : 'everywhere';
  const roots = { system: globals.systemConfig, local: globals.localConfig };
  for (const { prefix: place, path, how } of removeKey(roots, fingerprint, scope)) {
    const key = place === undefined ? 'root key' : `key for prefix "${place}"`;
    stdout.write(
      how === 'removed' ? `Removed ${key} at "${path}"\n` : `Masked ${key} by empty "${path}"\n`,
    );
  }
  return 0;
}
