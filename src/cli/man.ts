import type { CommandSpec, FlagSpec } from './command.ts';
import { globalFlags } from './flag-sets.ts';
import { flagForm, flagText, usageLine } from './help-text.ts';
import { commands } from './table.ts';

export interface ManPage {
  /** File name: `rkt-image-build.1`. */
  readonly file: string;
  /** roff, with the macros of man(7). */
  readonly text: string;
}

/** A page for rkt and one for each command, made from the command table. */
export function manPages(version: string): ManPage[] {
  const visible = commands.filter(({ hidden }) => !hidden);
  return [overview(visible, version), ...visible.map((command) => commandPage(command, version))];
}

const exitStatus: readonly Entry[] = [
  ['0', 'Success.'],
  ['254', 'rkt itself failed; stderr says why.'],
  ['2', 'No command was named.'],
];

function overview(visible: readonly CommandSpec[], version: string): ManPage {
  return page('rkt(1)', 'runs pods of container images', version, [
    section('SYNOPSIS', ['.B rkt', roff('[FLAGS] COMMAND [ARGS]')]),
    section('DESCRIPTION', [
      roff(
        'rkt runs pods, which are groups of container images, started by a command and owned by no daemon. Any unambiguous start of a command will do: rkt im l lists images.',
      ),
    ]),
    section(
      'COMMANDS',
      entries(visible.map(({ path, summary }) => [`${pageName(path)}(1)`, `${summary}.`])),
    ),
    section('OPTIONS', flagEntries(globalFlags)),
    section('EXIT STATUS', entries(exitStatus)),
    section(
      'FILES',
      entries([
        ['/var/lib/rkt', 'Data folder: pods, images and locks.'],
        ['/usr/lib/rkt, /etc/rkt', "The vendor's and the administrator's configuration."],
      ]),
    ),
    section('SEE ALSO', ['.BR rkt\\-pod (5),', '.BR io.rkt.Rkt1 (5)']),
  ]);
}

function commandPage(command: CommandSpec, version: string): ManPage {
  const imageFlags = command.flags.filter(({ scope }) => scope === 'image');
  const otherFlags = command.flags.filter(({ scope }) => scope !== 'image');
  return page(`${pageName(command.path)}(1)`, command.summary, version, [
    section('SYNOPSIS', [roff(usageLine(command))]),
    section('DESCRIPTION', [
      command.description.map(roff).join('\n.PP\n'),
      ...(command.rootOnly ? ['.PP', 'Needs root.'] : []),
    ]),
    ...(otherFlags.length === 0 ? [] : [section('OPTIONS', flagEntries(otherFlags))]),
    ...(imageFlags.length === 0
      ? []
      : [section('OPTIONS OF THE IMAGE BEFORE THEM', flagEntries(imageFlags))]),
    section('SEE ALSO', ['.BR rkt (1)']),
  ]);
}

function pageName(path: string): string {
  return `rkt-${path.replaceAll(' ', '-')}`;
}

/** A page by its name with its section, `rkt-run(1)`; its body of sections of text. */
export function page(
  name: string,
  summary: string,
  version: string,
  body: readonly string[],
): ManPage {
  const [title = '', number = ''] = name.split(/[()]/);
  const top = `.TH "${roff(title.toUpperCase())}" "${number}" "" "rkt ${roff(version)}" "rkt"`;
  const heading = section('NAME', [`${roff(title)} \\- ${roff(summary)}`]);
  return { file: `${title}.${number}`, text: `${[top, heading, ...body].join('\n')}\n` };
}

/** A section with its heading: man(7). */
export function section(title: string, lines: readonly string[]): string {
  return [`.SH "${title}"`, ...lines].join('\n');
}

type Entry = readonly [term: string, text: string];

/** The flags that are not hidden, each with its text. */
export function flagEntries(flags: readonly FlagSpec[]): string[] {
  return entries(
    flags.filter(({ hidden }) => !hidden).map((flag) => [flagForm(flag), `${flagText(flag)}.`]),
  );
}

/** A list of terms, in bold, with a text each. */
export function entries(list: readonly Entry[]): string[] {
  return list.flatMap(([term, text]) => ['.TP', `.B "${roff(term)}"`, roff(text)]);
}

/** Text that roff prints as it is: see groff_man_style(7), "Portability". */
export function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replace(/^([.'])/, '\\&$1');
}
