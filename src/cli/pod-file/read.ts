import { AppcError, isACName } from '../../appc/index.ts';
import { appRequest } from '../app-args.ts';
import type { CommandSpec, FlagSpec } from '../command.ts';
import type { Context, ImageArgument } from '../context.ts';
import { CliError } from '../error.ts';
import { globalFlags } from '../flag-sets.ts';
import { Flags } from '../flags.ts';
import { parseInsecure } from '../globals.ts';
import { runArguments } from '../run-args.ts';
import { type Entry, fileError, parseIni, type Section } from './ini.ts';

/** Flags of `rkt run` that mean nothing to a unit. */
export const NOT_FOR_UNITS = ['interactive', 'detach', 'uuid-file-save'];

/** Global flags that a pod file may have. */
export const GLOBAL = ['insecure-options', 'trust-keys-from-https', 'debug'];

/** What systemd.syntax(7) has beside true and false. */
const SWITCHES = new Map([
  ['yes', 'true'],
  ['on', 'true'],
  ['no', 'false'],
  ['off', 'false'],
]);

/** Sections that are the unit's, and the generator's work alone. */
const OF_THE_UNIT = ['Unit', 'Service', 'Install'];

/**
 * What a pod file asks for, as the command line of `rkt run` that would ask for the same: the keys of
 * `[Pod]` are flags of the pod, `[App NAME]` is an image with its flags, `arg` one of its arguments.
 *
 * @param command `rkt run`
 * @throws CliError naming the file, and line and key of what is wrong there alone
 */
export function readPodFile(
  path: string,
  text: string,
  command: CommandSpec,
  outer: Context,
): Context {
  const sections = parseIni(path, text);
  checkSections(path, sections);
  const specs = [
    ...command.flags.filter(({ scope }) => scope !== 'image'),
    ...globalFlags.filter(({ name }) => GLOBAL.includes(name)),
  ];
  const images = sections.filter(isApp).map((section) => readApp(path, section, command));
  const context: Context = { ...outer, command, args: [], images };
  const entries = sections.filter(({ name }) => name === 'Pod').flatMap((each) => each.entries);
  const flags = readFlags(path, specs, NOT_FOR_UNITS, entries, (one, key) =>
    checkPodFlag({ ...context, flags: one }, key),
  );
  const complete = { ...context, flags, globals: globalsOf(flags, outer) };
  try {
    runArguments(complete);
  } catch (error) {
    throw podFileError(path, text, error);
  }
  return complete;
}

/**
 * What is wrong with a pod file as a whole, in its own terms: with the line of the key that it is
 * about, where a key of the pod is named. Other errors come back as they are.
 */
export function podFileError(path: string, text: string, error: unknown): unknown {
  if (!(error instanceof CliError || error instanceof AppcError)) return error;
  const why = error.message.replaceAll(/--(?=[a-z])/g, '');
  const [, flag] = /^--([a-z-]+)/.exec(error.message) ?? [];
  const [, port] = /^port (?:name )?"([^"]+)"/.exec(error.message) ?? [];
  const entry = parseIni(path, text)
    .filter(({ name }) => name === 'Pod')
    .flatMap(({ entries }) => entries)
    .find(({ key, value }) => key === flag || (key === 'port' && value.startsWith(`${port}:`)));
  if (!entry) return new CliError('input', `${path}: ${why}`, error.cause);
  const rest = flag === undefined ? why : why.slice(flag.length).replace(/^:? /, '');
  return fileError(path, entry.line, `${entry.key}: ${rest}`, error.cause);
}

function isApp({ name }: Section): boolean {
  return /^App(\s|$)/.test(name);
}

function checkSections(path: string, sections: readonly Section[]): void {
  const seen = new Set<string>();
  for (const section of sections) {
    const { name, line } = section;
    if (name !== 'Pod' && !OF_THE_UNIT.includes(name) && !isApp(section))
      throw fileError(
        path,
        line,
        `unknown section [${name}]: there are Pod, App NAME, ${OF_THE_UNIT.join(', ')}`,
      );
    if (isApp(section) && seen.has(name)) throw fileError(path, line, `[${name}] stands twice`);
    seen.add(name);
  }
}

/** The flags of some entries; each is checked alone, so that what is wrong with it has its line. */
function readFlags(
  path: string,
  specs: readonly FlagSpec[],
  refused: readonly string[],
  entries: readonly Entry[],
  checkOne: (flags: Flags, key: string) => void,
): Flags {
  const all = new Flags(specs);
  for (const { key, value: text, line } of entries) {
    const spec = refused.includes(key) ? undefined : all.find(key);
    if (!spec) throw fileError(path, line, `${key}: there is no such key here`);
    if (all.given(key) && !spec.repeatable) throw fileError(path, line, `${key}: is set twice`);
    const value = spec.kind === 'bool' ? (SWITCHES.get(text) ?? text) : text;
    try {
      const one = new Flags(specs);
      one.add(spec, value);
      checkOne(one, key);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      const why = error.message.replace(`--${key}: `, '');
      throw fileError(path, line, `${key}: ${why}`, error.cause);
    }
    all.add(spec, value);
  }
  return all;
}

function globalsOf(flags: Flags, { globals }: Context): Context['globals'] {
  return {
    ...globals,
    ...(flags.given('insecure-options') && {
      insecure: parseInsecure(flags.value('insecure-options') ?? 'none'),
    }),
    debug: globals.debug || flags.bool('debug'),
    trustKeysFromHttps: globals.trustKeysFromHttps || flags.bool('trust-keys-from-https'),
  };
}

/** A mount needs its volume, and is seen to with it. */
function checkPodFlag(context: Context, key: string): void {
  if (key === 'mount') return;
  parseInsecure(context.flags.value('insecure-options') ?? 'none');
  const image = {
    reference: 'image',
    flags: new Flags(appSpecs(context.command)),
    args: undefined,
  };
  runArguments({ ...context, images: key === 'pod-manifest' ? [] : [image] });
}

function appSpecs(command: CommandSpec): FlagSpec[] {
  return command.flags.filter(({ scope }) => scope === 'image' || scope === 'both');
}

function readApp(path: string, section: Section, command: CommandSpec): ImageArgument {
  const name = section.name.slice('App'.length).trim();
  if (!isACName(name))
    throw fileError(
      path,
      section.line,
      `[${section.name}]: "${name}" is not an AC name (lower-case letters, digits, inner dashes)`,
    );
  const [image, again] = section.entries.filter(({ key }) => key === 'image');
  if (!image?.value) throw fileError(path, section.line, `[${section.name}]: image is missing`);
  if (again) throw fileError(path, again.line, 'image: is set twice');
  const reference = image.value;
  const args = section.entries.filter(({ key }) => key === 'arg').map(({ value }) => value);
  const entries = [
    { key: 'name', value: name, line: section.line },
    ...section.entries.filter(({ key }) => key !== 'image' && key !== 'arg'),
  ];
  const flags = readFlags(path, appSpecs(command), [], entries, (one) => {
    appRequest({ reference, flags: one, args });
  });
  return { reference, flags, args };
}
