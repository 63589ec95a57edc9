import { appCommands } from './app-table.ts';
import type { CommandSpec } from './command.ts';
import { fetchCommands } from './fetch-table.ts';
import { formatFlag, prettyPrintFlag } from './flag-sets.ts';
import { imageCommands } from './image-table.ts';
import { insideCommands } from './inside-table.ts';
import { podCommands } from './pod-table.ts';
import { serviceCommands } from './service-table.ts';
import { unitCommands } from './unit-table.ts';

const generalCommands: readonly CommandSpec[] = [
  {
    path: 'config',
    group: 'General',
    summary: 'Print the configuration',
    usage: '[FLAGS]',
    description: [
      'Prints the merged configuration as JSON, an object for each entry, as it would stand in a file of its own. Passwords are shown.',
    ],
    flags: [prettyPrintFlag],
    load: () => import('./commands/config.ts'),
  },
  {
    path: 'version',
    group: 'General',
    summary: 'Print version numbers',
    usage: '[FLAGS]',
    description: ['Prints the versions of rkt, of the App Container spec and of Node.'],
    flags: [formatFlag],
    standalone: true,
    load: () => import('./commands/version.ts'),
  },
  {
    path: 'help',
    group: 'General',
    summary: 'Explain rkt or one of its commands',
    usage: '[COMMAND]',
    description: ['Prints what rkt COMMAND --help prints.'],
    flags: [],
    operand: 'command',
    operands: [0, 2],
    standalone: true,
    load: () => import('./commands/help.ts'),
  },
  {
    path: 'completion',
    group: 'General',
    summary: 'Print a completion script for a shell',
    usage: '(bash | zsh | fish)',
    description: ['For the running bash: source <(rkt completion bash)'],
    flags: [],
    operand: 'shell',
    operands: [1, 1],
    standalone: true,
    load: () => import('./commands/completion.ts'),
  },
];

/** Every command: what the parser, the help, the man pages and the completion are made from. */
export const commands: readonly CommandSpec[] = [
  ...podCommands,
  ...appCommands,
  ...insideCommands,
  ...unitCommands,
  ...fetchCommands,
  ...imageCommands,
  ...serviceCommands,
  ...generalCommands,
];
