import type { CommandSpec } from './command.ts';
import { appFlag, formatFlag, uuidFileFlag } from './flag-sets.ts';

const confinedText =
  "The command has what the app has, and no more: its capabilities, filter of system calls, namespaces, cgroup and limits. With a terminal as input and output it gets one of the pod's own, otherwise pipes. The exit status is that of the command, 128 plus the signal's number if a signal ended it, or 254 when rkt itself failed.";

/** What goes on in a pod, and a hand in it. */
export const insideCommands: readonly CommandSpec[] = [
  {
    path: 'logs',
    group: 'Pods',
    summary: 'Print what the apps of a pod have written',
    usage: '[FLAGS] (UUID | --uuid-file FILE)',
    description: [
      'Prints the recorded output of a running pod or of one that has ended, until rkt gc removes it. Of each app the last 10 to 20 MiB are kept, with the times of the records. Where the caller of rkt run gave both streams the same target, both are recorded as stdout.',
      'The formats are those of journalctl: short (time, app, line), short-iso (the time in full), json (an object per line with the fields that the line has in the journal) and cat (the output alone, byte for byte).',
      "Pods of the fly flavour and those that run on their caller's terminal with --interactive are not recorded. Where the output of rkt run goes to the journal it is there as well: journalctl RKT_POD=UUID, RKT_APP=NAME, RKT_IMAGE=NAME:VERSION.",
    ],
    flags: [
      { name: 'follow', letter: 'f', kind: 'bool', description: 'Go on until the pod has ended' },
      {
        name: 'app',
        kind: 'value',
        placeholder: 'NAME',
        description: 'Of this app only',
      },
      {
        name: 'since',
        kind: 'value',
        placeholder: 'TIME',
        description: 'What was written since a time (RFC 3339) or within a duration (10m)',
      },
      {
        name: 'tail',
        letter: 'n',
        kind: 'value',
        placeholder: 'N',
        default: 'all',
        description: 'The last N lines, or all',
      },
      {
        name: 'output',
        letter: 'o',
        kind: 'value',
        placeholder: 'FORMAT',
        choices: ['short', 'short-iso', 'json', 'cat'],
        default: 'short',
        description: 'short, short-iso, json or cat',
      },
      uuidFileFlag,
    ],
    operand: 'pod',
    operands: [0, 1],
    load: () => import('./commands/logs.ts'),
  },
  {
    path: 'attach',
    group: 'Pods',
    summary: 'Connect to the streams or terminal of a running app',
    usage: '[FLAGS] UUID',
    description: [
      'Connects stdin, stdout and stderr to those of an app that was started with --stdin, --stdout or --stderr=stream or tty behind its image; the output of other apps can be watched. Nothing that was written before is shown, see rkt logs. Several may be attached at once; who does not read is cut off rather than waited for.',
      'The app goes on when the command ends: on a terminal by ctrl-p ctrl-q, or otherwise when its input is closed and only stdin was attached. It ends with exit status 0 when the app has ended.',
      'MODE is auto (all that there is), list (print what there is, a line each, or in JSON a list of names), or a list of stdin, stdout and stderr, or tty, tty-in and tty-out.',
    ],
    flags: [
      appFlag,
      {
        name: 'mode',
        kind: 'value',
        placeholder: 'MODE',
        default: 'auto',
        description: 'auto, list or a list of streams',
      },
      {
        name: 'detach-keys',
        kind: 'value',
        placeholder: 'KEYS',
        default: 'ctrl-p,ctrl-q',
        description:
          'Keys that detach a terminal: letters and ctrl-LETTER, with commas; empty for none',
      },
      {
        name: 'close-stdin',
        kind: 'bool',
        description: "End the app's stdin at the end of the input, for good",
      },
      { ...formatFlag, description: `${formatFlag.description}, with --mode=list` },
    ],
    operand: 'pod',
    operands: [1, 1],
    rootOnly: true,
    load: () => import('./commands/attach.ts'),
  },
  {
    path: 'enter',
    group: 'Pods',
    summary: 'Run a command as root in a running app',
    usage: '[FLAGS] UUID [COMMAND [ARG...]]',
    description: [
      "Runs COMMAND, /bin/bash if none is named, in the root folder of the app, with the app's environment. Flags stand before UUID.",
      confinedText,
    ],
    flags: [appFlag],
    operand: 'pod',
    operands: [1, Number.POSITIVE_INFINITY],
    flagsFirst: true,
    rootOnly: true,
    load: () => import('./commands/enter.ts'),
  },
  {
    path: 'app exec',
    group: 'Pods',
    summary: 'Run a command as the user of a running app',
    usage: '[FLAGS] UUID COMMAND [ARG...]',
    description: [
      "Runs COMMAND as the app's own user and groups in the app's working folder, with its environment. Flags stand before UUID.",
      confinedText,
    ],
    flags: [appFlag],
    operand: 'pod',
    operands: [2, Number.POSITIVE_INFINITY],
    flagsFirst: true,
    rootOnly: true,
    load: () => import('./commands/app-exec.ts'),
  },
];
