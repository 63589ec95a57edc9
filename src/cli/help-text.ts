import type { CommandSpec, FlagSpec } from './command.ts';
import { globalFlags } from './flag-sets.ts';
import { commands } from './table.ts';

type Row = readonly [left: string, right: string];

/** The help of rkt itself: one screen of 24 lines. */
export function overview(): string {
  return [
    'rkt runs pods of container images, with no daemon.\n',
    'Usage: rkt [FLAGS] COMMAND [ARGS]    (rkt COMMAND --help and rkt(1) tell more)\n\n',
    section('Pods', [
      ['run, prepare, run-prepared', 'Run images as a pod, at once or in two steps'],
      ['list, status, cat-manifest', 'List pods; print the state, the manifest of one'],
      ['stop, rm, gc', 'Stop pods; remove them; remove those of long ago'],
      ['logs, attach, enter', 'Read what apps wrote; connect to one; go into one'],
      ['export, generate', 'Make an image, or a pod file, of a pod'],
      ['app COMMAND', members('app')],
    ]),
    section('Images', [
      ['fetch, trust', `Bring images into the store; trust keys (${members('trust')})`],
      ['image COMMAND', members('image')],
    ]),
    section('General', [
      ['config, version, completion', 'Print settings; versions; a script for a shell'],
      ['metadata-service', 'Tell pods about themselves, over HTTP'],
    ]),
    section('Flags of every command', flagRows(globalFlags.filter(({ minor }) => !minor))),
    `Also ${minorFlags()}.\n`,
  ].join('');
}

/** The commands behind one word, such as `image`. */
function members(word: string): string {
  return commands
    .filter(({ path, hidden }) => !hidden && path.startsWith(`${word} `))
    .map(({ path }) => path.slice(word.length + 1))
    .join(', ');
}

function minorFlags(): string {
  const names = globalFlags.filter(({ minor }) => minor).map(({ name }) => `--${name}`);
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** The help of a group of commands, such as `image`. */
export function groupHelp(group: string): string {
  const members = commands.filter(({ path, hidden }) => !hidden && path.startsWith(`${group} `));
  return [
    `Usage: rkt ${group} COMMAND [ARGS]\n`,
    section('Commands', commandRows(members)),
    `See rkt ${group} COMMAND --help for a command.\n`,
  ].join('\n');
}

/** The help of one command. */
export function commandHelp(command: CommandSpec): string {
  const imageFlags = command.flags.filter(({ scope }) => scope === 'image');
  const otherFlags = command.flags.filter(({ scope }) => scope !== 'image');
  return [
    `${command.summary}.\n\nUsage: ${usageLine(command)}\n`,
    ...command.description.map((paragraph) => `${wrap(paragraph, 80)}\n`),
    ...(otherFlags.length === 0
      ? []
      : [
          section(
            command.group === 'Pods' && imageFlags.length ? 'Flags of the pod' : 'Flags',
            flagRows(otherFlags),
          ),
        ]),
    ...(imageFlags.length === 0
      ? []
      : [section('Flags of the image before them', flagRows(imageFlags))]),
    ...(command.rootOnly ? ['Needs root.\n'] : []),
    'See rkt --help for the flags of every command.\n',
  ].join('\n');
}

/** `rkt COMMAND ARGUMENTS`, as help and man pages show it. */
export function usageLine({ path, usage }: CommandSpec): string {
  return `rkt ${path} ${usage}`.trimEnd();
}

/** A flag as it is written: `--net[=NAME[:ARGS],...]`, `-f, --follow`. */
export function flagForm({ name, letter, kind, placeholder = 'VALUE' }: FlagSpec): string {
  const form = letter ? `-${letter}, --${name}` : `--${name}`;
  if (kind === 'bool') return form;
  return kind === 'optional' ? `${form}[=${placeholder}]` : `${form}=${placeholder}`;
}

function commandRows(list: readonly CommandSpec[]): Row[] {
  return list.map(({ path, summary }) => [path, summary]);
}

function flagRows(flags: readonly FlagSpec[]): Row[] {
  return flags.filter(({ hidden }) => !hidden).map((flag) => [flagForm(flag), flagText(flag)]);
}

/** Whether a default goes without saying. */
function isPlain(value: string | undefined): boolean {
  return value === undefined || value === 'false' || value === 'none';
}

/** The description of a flag, with its default and whether it may be repeated. */
export function flagText(flag: FlagSpec): string {
  const notes = [
    ...(isPlain(flag.default) ? [] : [`default: ${flag.default}`]),
    ...(flag.repeatable ? ['may be repeated'] : []),
  ];
  return notes.length === 0 ? flag.description : `${flag.description} (${notes.join('; ')})`;
}

function section(title: string, rows: readonly Row[]): string {
  const left = Math.min(27, Math.max(...rows.map(([name]) => name.length)));
  const line = ([name, text]: Row) => {
    const body = wrap(text, 80 - left - 4).replaceAll('\n', `\n${' '.repeat(left + 4)}`);
    return name.length > left
      ? `  ${name}\n${' '.repeat(left + 4)}${body}\n`
      : `  ${name.padEnd(left)}  ${body}\n`;
  };
  return `${title}:\n${rows.map(line).join('')}`;
}

function wrap(text: string, columns: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}
