import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Config, ConfigRoots } from '../config/index.ts';
import { errnoOf } from '../os/error.ts';
import type { Globals, InsecureOption } from './context.ts';
import { CliError, flagError } from './error.ts';
import type { Flags } from './flags.ts';

const builtInDataDir = '/var/lib/rkt';

/** The folders of the configuration that the global flags name. */
export function configRoots(flags: Flags): ConfigRoots & { user: string | undefined } {
  return {
    system: folder(flags, 'system-config') ?? '',
    local: folder(flags, 'local-config') ?? '',
    user: folder(flags, 'user-config'),
  };
}

/** The global flags, the data folder with the precedence flag, configuration, built-in. */
export function resolveGlobals(flags: Flags, config: Config): Globals {
  const roots = configRoots(flags);
  return {
    debug: flags.bool('debug'),
    dataDir: realPath(folder(flags, 'dir') ?? config.paths.data ?? builtInDataDir),
    systemConfig: roots.system,
    localConfig: roots.local,
    userConfig: roots.user,
    insecure: parseInsecure(flags.value('insecure-options') ?? 'none'),
    trustKeysFromHttps: flags.bool('trust-keys-from-https'),
  };
}

function folder(flags: Flags, name: string): string | undefined {
  const value = flags.value(name);
  if (value === '') throw flagError(name, 'must not be empty');
  return value === undefined ? undefined : resolve(value);
}

/** The path with its symlinks resolved, as far as it exists: mounts show up under the real path. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && path !== '/')
      return join(realPath(dirname(path)), basename(path));
    throw new CliError('input', `cannot resolve the data folder ${path}`, error);
  }
}

/** What each protection guards, in the words of the warning that it is off. */
const protections: Readonly<Record<InsecureOption, string>> = {
  // Said for each image, where it is taken.
  image: '',
  tls: 'TLS certificates are not verified',
  ondisk: '',
  http: 'plain HTTP is allowed',
  pubkey: 'keys are accepted over plain HTTP',
  capabilities: 'apps keep all capabilities',
  paths: '/proc and /sys are not protected from apps',
  seccomp: 'system calls of apps are not filtered',
};
const everything = Object.keys(protections).filter(isInsecureOption);
const tokens: ReadonlyMap<string, readonly InsecureOption[]> = new Map([
  ['none', []],
  ['all-fetch', ['image', 'tls', 'http', 'pubkey']],
  ['all-run', ['capabilities', 'paths', 'seccomp']],
  ['all', everything],
  ...everything.map((option): [string, InsecureOption[]] => [option, [option]]),
]);

/** The protections that a list of `--insecure-options` turns off. Case does not matter. */
export function parseInsecure(list: string): ReadonlySet<InsecureOption> {
  const words = list.split(',').map((word) => word.trim().toLowerCase());
  words.forEach((word, at) => {
    if (words.indexOf(word) < at)
      throw flagError('insecure-options', `duplicated option "${word}"`);
  });
  return new Set(
    words.flatMap((word) => {
      const options = tokens.get(word);
      if (!options)
        throw flagError(
          'insecure-options',
          `unknown option "${word}", must be among ${[...tokens.keys()].join(', ')}`,
        );
      return options;
    }),
  );
}

/** One line on what is unprotected; undefined when nothing is. */
export function insecureWarning(insecure: ReadonlySet<InsecureOption>): string | undefined {
  const effects = [...insecure].map((option) => protections[option]).filter((text) => text !== '');
  return effects.length === 0 ? undefined : `warning: ${effects.join('; ')} (--insecure-options)`;
}

function isInsecureOption(text: string): text is InsecureOption {
  return text in protections;
}
