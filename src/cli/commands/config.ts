import type { Config, HttpCredentials } from '../../config/index.ts';
import type { Context } from '../context.ts';
import { jsonText } from '../output.ts';

const rktVersion = 'v1';

/** Prints the merged configuration, an object per entry, each as it would stand in a file. */
export async function run({ config, flags, stdout }: Context): Promise<number> {
  const format = flags.bool('pretty-print') ? 'json-pretty' : 'json';
  stdout.write(jsonText({ stage0: entries(config) }, format));
  return 0;
}

function entries({ auth, dockerAuth, paths, stage1 }: Config): object[] {
  const auths = [...auth].map(([domain, credentials]) => ({
    rktVersion,
    rktKind: 'auth',
    domains: [domain],
    ...typed(credentials),
  }));
  const dockerAuths = [...dockerAuth].map(([registry, credentials]) => ({
    rktVersion,
    rktKind: 'dockerAuth',
    registries: [registry],
    credentials,
  }));
  const { data, stage1Images } = paths;
  const { image, location } = stage1;
  return [
    ...auths,
    ...dockerAuths,
    ...ifAny({ rktVersion, rktKind: 'paths' }, { data, 'stage1-images': stage1Images }),
    ...ifAny({ rktVersion, rktKind: 'stage1' }, { ...image, location }),
  ];
}

function typed({ type, ...credentials }: HttpCredentials): object {
  return { type, credentials };
}

/** The entry, unless all of its values are undefined. */
function ifAny(kind: object, values: Readonly<Record<string, string | undefined>>): object[] {
  return Object.values(values).some((value) => value !== undefined) ? [{ ...kind, ...values }] : [];
}
