import type { CommandSpec, FlagSpec, OperandKind } from './command.ts';
import { globalFlags } from './flag-sets.ts';
import { commands } from './table.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** A completion script, made from the command table. */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case 'bash':
      return bash();
    case 'zsh':
      return zsh();
    case 'fish':
      return fish();
  }
}

const visible = commands.filter(({ hidden }) => !hidden);
const firstWords = [...new Set(visible.map(({ path }) => path.split(' ')[0] ?? ''))];
const groups = firstWords.filter((word) => !visible.some(({ path }) => path === word));

/** What lists the candidates for an operand; empty for files. */
const lister: Readonly<Record<OperandKind, string>> = {
  pod: 'rkt list --full --no-legend 2>/dev/null | cut -f1 | grep .',
  image: 'rkt image list --fields=name --no-legend 2>/dev/null',
  command: `echo ${firstWords.join(' ')}`,
  shell: `echo ${shells.join(' ')}`,
  file: '',
  folder: '',
};

function flagsOf(command: CommandSpec): FlagSpec[] {
  return [...command.flags, ...globalFlags].filter(({ hidden }) => !hidden);
}

function bash(): string {
  const words = ({ name, kind }: FlagSpec) => (kind === 'value' ? `--${name}=` : `--${name}`);
  const members = (group: string) =>
    visible
      .filter(({ path }) => path.startsWith(`${group} `))
      .map(({ path }) => path.slice(group.length + 1));
  const branch = (command: CommandSpec) => {
    const below = members(command.path);
    const operands = command.operand ? lister[command.operand] : '';
    const list = below.length > 0 ? `echo ${below.join(' ')}` : operands;
    return `    '${command.path}')
      flags='${flagsOf(command).map(words).join(' ')}'
      ${list === '' ? ':' : `[[ $current == -* ]] || candidates=$(${list})`};;`;
  };
  const choices = visible
    .flatMap(flagsOf)
    .filter((flag) => flag.choices)
    .map(({ name, choices: values = [] }) => `    --${name}) candidates='${values.join(' ')}';;`);
  // A command with others below it, such as trust, goes on only by the name of one of them.
  const both = visible
    .filter(({ path }) => members(path).length > 0)
    .map(
      ({ path }) =>
        `    ${path}) case "$word" in ${members(path).join('|')}) path="$path $word";; esac;;`,
    );
  return `_rkt() {
  local current=\${COMP_WORDS[COMP_CWORD]} before='' prefix='' path='' flags='' candidates='' word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$path" in
    ''|${groups.join('|')}) [[ $word == [a-z]* && \${COMP_WORDS[i-1]} != '=' ]] && path="\${path:+$path }$word";;
${both.join('\n')}
    esac
  done
  if [[ $current == '=' ]]; then
    before=\${COMP_WORDS[COMP_CWORD-1]} current=''
  elif [[ \${COMP_WORDS[COMP_CWORD-1]} == '=' ]]; then
    before=\${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $current == --*=* ]]; then # where = breaks no words, as in zsh
    before=\${current%%=*} prefix=\${current%%=*}= current=\${current#*=}
  fi
  if [[ -n $before ]]; then
    case "$before" in
${[...new Set(choices)].join('\n')}
    *) COMPREPLY=($(compgen -P "$prefix" -f -- "$current")); return;;
    esac
    COMPREPLY=($(compgen -P "$prefix" -W "$candidates" -- "$current"))
    return
  fi
  case "$path" in
    '') candidates='${firstWords.join(' ')}' flags='${globalFlags
      .filter(({ hidden }) => !hidden)
      .map(words)
      .join(' ')}';;
${groups.map((group) => `    ${group}) candidates='${members(group).join(' ')}';;`).join('\n')}
${visible.map(branch).join('\n')}
  esac
  [[ $current == -* ]] && candidates=$flags
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
  [[ \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  [[ $current == -* || -z $path ]] || COMPREPLY+=($(compgen -f -- "$current"))
}
complete -o filenames -F _rkt rkt
`;
}

/** As a file in zsh's fpath it is the function _rkt itself until it is first called, for a completion. */
function zsh(): string {
  return `#compdef rkt
autoload -U +X bashcompinit && bashcompinit
${bash()}[[ $funcstack[1] != _rkt ]] || _bash_complete -o filenames -F _rkt
`;
}

function fish(): string {
  const quote = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const option = (condition: string) => (flag: FlagSpec) =>
    [
      `complete -c rkt -n ${quote(condition)} -l ${flag.name} -d ${quote(flag.description)}`,
      ...(flag.kind === 'value' ? ['-r'] : []),
      ...(flag.choices ? [`-f -a ${quote(flag.choices.join(' '))}`] : []),
    ].join(' ');
  const seen = (path: string) =>
    path
      .split(' ')
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join('; and ');
  const word = (command: CommandSpec) => {
    const [first = '', second] = command.path.split(' ');
    const condition = second === undefined ? '__fish_use_subcommand' : seen(first);
    return `complete -c rkt -f -n ${quote(condition)} -a ${second ?? first} -d ${quote(command.summary)}`;
  };
  const operands = (command: CommandSpec) => {
    const list = command.operand ? lister[command.operand] : '';
    return list === ''
      ? []
      : [`complete -c rkt -n ${quote(seen(command.path))} -a ${quote(`(${list})`)}`];
  };
  return [
    ...groups.map((group) => `complete -c rkt -f -n __fish_use_subcommand -a ${group}`),
    ...visible.map(word),
    ...globalFlags.filter(({ hidden }) => !hidden).map(option('true')),
    ...visible.flatMap((command) => [
      ...command.flags.filter(({ hidden }) => !hidden).map(option(seen(command.path))),
      ...operands(command),
    ]),
    '',
  ].join('\n');
}
