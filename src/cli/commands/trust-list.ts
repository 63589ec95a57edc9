import { listKeys } from '../../trust/list.ts';
import type { Context } from '../context.ts';
import { EXIT_FAILURE } from '../error.ts';
import { jsonFormat, jsonText, tableText } from '../output.ts';

/** Lists the trusted keys; files that are no such keys are reported, and make the command fail. */
export async function run({ flags, globals, report, stdout }: Context): Promise<number> {
  let failures = 0;
  const roots = { system: globals.systemConfig, local: globals.localConfig };
  const keys = await listKeys(roots, (error) => {
    failures++;
    report(error);
  });
  const format = jsonFormat(flags);
  if (format)
    stdout.write(
      jsonText(
        keys.map(({ prefix = null, ...key }) => ({ prefix, ...key })),
        format,
      ),
    );
  else
    stdout.write(
      tableText([
        ...(flags.bool('no-legend') ? [] : [['PREFIX', 'FINGERPRINT', 'IDENTITY', 'LOCATION']]),
        ...keys.map(({ prefix = '(root)', fingerprint, identities, location, masked }) => [
          prefix,
          fingerprint,
          `${identities[0] ?? (fingerprint.startsWith('sha256:') ? 'cosign key' : '-')}${masked ? ' (masked)' : ''}`,
          location,
        ]),
      ]),
    );
  return failures > 0 ? EXIT_FAILURE : 0;
}
