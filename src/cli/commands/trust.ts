import { HttpClient } from '../../http/client.ts';
import { discoverKeys } from '../../image/discovery.ts';
import { terminalDialog } from '../../trust/terminal.ts';
import {
  checkPrefix,
  downloadKey,
  readKeyFrom,
  type TrustOptions,
  trustKeys,
} from '../../trust/trust.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_FAILURE } from '../error.ts';

/** Stores keys, once the user has reviewed them, as trusted for a prefix of names or for all. */
export async function run(context: Context): Promise<number> {
  const { args, flags, globals, config, report } = context;
  const { insecure } = globals;
  const prefix = prefixOf(context);
  const plainHttp = flags.bool('insecure-allow-http');
  const client = new HttpClient({
    auth: config.auth,
    insecure: { tls: insecure.has('tls'), http: plainHttp || insecure.has('http') },
  });
  const options = trustOptions(context);
  const plainKeys = plainHttp || (insecure.has('http') && insecure.has('pubkey'));
  let failures = 0;
  try {
    const isDiscovered = args.length === 0;
    for (const location of isDiscovered ? await discovered(client, prefix ?? '') : args)
      try {
        // A page has no say in what is read on this machine.
        const bytes =
          isDiscovered || isUrl(location)
            ? (await downloadKey(client, location, plainKeys)).bytes
            : readKeyFrom(location);
        await trustKeys({ location, prefix, bytes }, options);
      } catch (error) {
        failures++;
        report(error);
      }
  } finally {
    await client.close();
  }
  return failures > 0 ? EXIT_FAILURE : 0;
}

function prefixOf({ args, flags, globals }: Context): string | undefined {
  const prefix = flags.value('prefix');
  const root = flags.bool('root');
  if (globals.insecure.has('image'))
    throw new CliError(
      'flag-value',
      'could not get the keystore: --insecure-options=image turns signatures off',
    );
  if (root && prefix !== undefined)
    throw new CliError('usage', '--root and --prefix usage mutually exclusive');
  if (root && args.length === 0)
    throw new CliError('usage', '--root needs key files: keys are discovered for a prefix only');
  if (!root && prefix === undefined)
    throw new CliError(
      'usage',
      'aborting due to implicit unbounded trust: name the images with --prefix=PREFIX, or trust the key for all images with --root',
    );
  if (prefix !== undefined) checkPrefix(prefix);
  return prefix;
}

function trustOptions({ flags, globals, stdout, stderr }: Context): TrustOptions {
  return {
    roots: { system: globals.systemConfig, local: globals.localConfig },
    review: flags.bool('skip-fingerprint-review') ? 'skip' : 'ask',
    dialog: terminalDialog,
    hint: '--skip-fingerprint-review trusts without',
    result: (text) => stdout.write(text),
    notice: (text) => stderr.write(text),
  };
}

async function discovered(client: HttpClient, prefix: string): Promise<string[]> {
  const { found, attempts } = await discoverKeys(client, prefix);
  if (found.length > 0) return found.map(({ url }) => url);
  const tried = attempts.map(({ url, why }) => `${url}: ${why}`).join('; ');
  throw new CliError('input', `no keys discovered for prefix "${prefix}" (${tried})`);
}

function isUrl(location: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(location);
}
