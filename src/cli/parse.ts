import type { CommandSpec } from './command.ts';
import type { ImageArgument } from './context.ts';
import { usageError } from './error.ts';
import { Flags } from './flags.ts';

/** A command line, split by the rules of its command. */
export interface Parsed {
  readonly flags: Flags;
  readonly args: readonly string[];
  readonly images: readonly ImageArgument[];
  /** `--help` or `-h` was given: nothing else matters. */
  readonly help: boolean;
}

/** The command that was named, and what is left for it. */
export interface Selected {
  /** Undefined when no command was named, or only a group (`image`), which is then in `group`. */
  readonly command: CommandSpec | undefined;
  readonly group: string;
  readonly rest: readonly string[];
  readonly help: boolean;
}

/**
 * Finds the command that argv starts with. Any unambiguous prefix of its words will do, and global
 * flags, which go into `globals`, may stand between them.
 */
export function selectCommand(
  argv: readonly string[],
  table: readonly CommandSpec[],
  globals: Flags,
): Selected {
  let group = '';
  for (let at = 0; at < argv.length; ) {
    const word = argv[at] ?? '';
    if (isHelp(word)) return { command: undefined, group, rest: [], help: true };
    if (isFlag(word)) {
      at = readFlag(argv, at, globals);
      continue;
    }
    group = completeWord(group, word, table);
    at++;
    const command = table.find(({ path }) => path === group);
    // A command may have commands of its own below it: only their full names are taken for them.
    const next = `${group} ${argv[at]}`;
    if (command && table.some(({ path }) => path === next)) continue;
    if (command) return { command, group, rest: argv.slice(at), help: false };
  }
  return { command: undefined, group, rest: [], help: false };
}

/** The path that `word` continues: exactly, or as the only one that starts so. */
function completeWord(group: string, word: string, table: readonly CommandSpec[]): string {
  const depth = group === '' ? 0 : group.split(' ').length;
  const nextWord = ({ path }: CommandSpec) => path.split(' ')[depth] ?? '';
  const here = table.filter(({ path }) => group === '' || path.startsWith(`${group} `));
  const exact = here.some((command) => nextWord(command) === word);
  const visible = here.filter((command) => !command.hidden).map(nextWord);
  const matches = exact
    ? [word]
    : [...new Set(visible.filter((name) => word !== '' && name.startsWith(word)))];
  const [only] = matches;
  if (matches.length > 1)
    throw usageError(`"${word}" could be ${matches.sort().join(', ')}: write more of it`);
  if (only === undefined)
    throw usageError(`unknown command "${[group, word].join(' ').trim()}" (see rkt help)`);
  return group === '' ? only : `${group} ${only}`;
}

/** Splits what follows the command's words. Global flags are taken anywhere among its flags. */
export function parseCommand(
  command: CommandSpec,
  argv: readonly string[],
  globals: Flags,
): Parsed {
  return command.imageGrammar
    ? parseImages(command, argv, globals)
    : parseOperands(command, argv, globals);
}

function parseOperands(command: CommandSpec, argv: readonly string[], globals: Flags): Parsed {
  const flags = new Flags(command.flags);
  const args: string[] = [];
  let help = false;
  for (let at = 0; at < argv.length; ) {
    const word = argv[at] ?? '';
    if (word === '--') {
      args.push(...argv.slice(at + 1));
      break;
    }
    if (isHelp(word)) {
      help = true;
      at++;
    } else if (isFlag(word)) at = readFlag(argv, at, flags, globals);
    else if (command.flagsFirst) {
      args.push(...argv.slice(at));
      break;
    } else {
      args.push(word);
      at++;
    }
  }
  if (!help) checkCount(command, args);
  return { flags, args, images: [], help };
}

function checkCount(command: CommandSpec, args: readonly string[]): void {
  const [least, most] = command.operands ?? [0, 0];
  if (args.length < least) throw usageError('too few arguments');
  if (args.length > most)
    throw usageError(
      most === 0
        ? `takes no arguments, but got "${args[0]}"`
        : `too many arguments: "${args[most]}"`,
    );
}

/**
 * The grammar of `rkt run`: [FLAGS] IMAGE [IMAGE FLAGS] [-- ARGS [---]] [IMAGE …]. Flags of the pod
 * may stand anywhere outside an argument list, flags of an image follow it.
 */
function parseImages(command: CommandSpec, argv: readonly string[], globals: Flags): Parsed {
  const flags = new Flags(command.flags.filter(({ scope }) => scope !== 'image'));
  const imageFlags = command.flags.filter(({ scope }) => scope === 'image' || scope === 'both');
  const images: { reference: string; flags: Flags; args: string[] | undefined }[] = [];
  let help = false;
  for (let at = 0; at < argv.length; ) {
    const word = argv[at] ?? '';
    const image = images.at(-1);
    if (word === '--') {
      if (!image) throw usageError('an image is required before any app arguments');
      if (image.args) throw usageError('only one set of app arguments allowed per image');
      const end = argv.indexOf('---', at);
      image.args = argv.slice(at + 1, end < 0 ? undefined : end);
      at = end < 0 ? argv.length : end + 1;
    } else if (word === '---') throw usageError('--- without a list of app arguments to close');
    else if (isHelp(word)) {
      help = true;
      at++;
    } else if (isFlag(word)) {
      const { name } = splitFlag(word);
      const scope = command.flags.find((flag) => flag.name === name)?.scope;
      if (scope === 'image' && !image) throw usageError(`--${name} must follow an image`);
      const mine = image && (scope === 'image' || scope === 'both') ? image.flags : flags;
      at = readFlag(argv, at, mine, globals);
    } else {
      if (word !== '')
        images.push({ reference: word, flags: new Flags(imageFlags), args: undefined });
      at++;
    }
  }
  return { flags, args: [], images, help };
}

/** Reads the flag at `at` into the first set that knows it; gives the index of what follows. */
function readFlag(argv: readonly string[], at: number, ...sets: readonly Flags[]): number {
  const { dashed, name, value } = splitFlag(argv[at] ?? '');
  for (const flags of sets) {
    const spec = dashed.startsWith('--') ? flags.find(name) : flags.findLetter(name);
    if (!spec) continue;
    const next = argv[at + 1];
    const takesNext = spec.kind === 'value' && value === undefined;
    if (takesNext && next === undefined) throw usageError(`${dashed} needs a value`);
    flags.add(spec, takesNext ? next : value);
    return at + (takesNext ? 2 : 1);
  }
  throw usageError(`unknown flag ${dashed}`);
}

function splitFlag(word: string): { dashed: string; name: string; value: string | undefined } {
  const equals = word.indexOf('=');
  const dashed = equals < 0 ? word : word.slice(0, equals);
  return {
    dashed,
    name: dashed.replace(/^--?/, ''),
    value: equals < 0 ? undefined : word.slice(equals + 1),
  };
}

function isFlag(word: string): boolean {
  return word.startsWith('-') && word !== '-';
}

function isHelp(word: string): boolean {
  return word === '--help' || word === '-h';
}
