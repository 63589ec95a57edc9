import type { CommandSpec, FlagSpec } from './command.ts';
import { globalFlags } from './flag-sets.ts';
import { commands } from './table.ts';

const groups = ['Pods', 'Images', 'General'] as const;

/** The help of rkt itself: one screen. */
export function overview(): string {
  const sections = groups.map((group) =>
    section(group, overviewRows(visible(group).filter(({ minor }) => !minor))),
  );
  return [
    'rkt runs pods of container images, with no daemon.\n\nUsage: rkt [FLAGS] COMMAND [ARGS]\n',
    ...sections,
    section('Flags of every command', flagRows(globalFlags.filter(({ minor }) => !minor))),
    `Also ${minorFlags()}.\nSee rkt COMMAND --help for a command, and rkt(1) for the whole.\n`,
  ].join('\n');
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

function visible(group: CommandSpec['group']): CommandSpec[] {
  return commands.filter(
    (command) => command.group === group && !command.hidden && command.path !== 'help',
  );
}

type Row = readonly [left: string, right: string];

function commandRows(list: readonly CommandSpec[]): Row[] {
  return list.map(({ path, summary }) => [path, summary]);
}

/** A row for each command of one word; the commands behind one word are named in its row. */
function overviewRows(list: readonly CommandSpec[]): Row[] {
  const words = new Set(list.map(({ path }) => path.split(' ', 1)[0] ?? ''));
  return [...words].map((word) => {
    const own = list.find(({ path }) => path === word);
    const names = list
      .filter(({ path }) => path.startsWith(`${word} `))
      .map(({ path }) => path.slice(word.length + 1))
      .join(', ');
    if (!own) return [`${word} COMMAND`, names];
    return [word, names === '' ? own.summary : `${own.summary}; or: ${names}`];
  });
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
  const left = Math.min(26, Math.max(...rows.map(([name]) => name.length)));
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
