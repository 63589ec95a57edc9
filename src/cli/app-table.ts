import type { CommandSpec, FlagSpec } from './command.ts';
import { formatFlag, noLegendFlag, uuidFileSaveFlag } from './flag-sets.ts';
import { imageFlags, prepareFlags, startFlags } from './pod-flags.ts';

const appFlag: FlagSpec = {
  name: 'app',
  kind: 'value',
  placeholder: 'NAME',
  description: 'The app',
};

/** Flags of a pod without apps: how it is started, and what it is made from but images. */
const sandboxFlags: readonly FlagSpec[] = [
  ...startFlags.map((flag): FlagSpec => {
    if (flag.name === 'net') return { ...flag, kind: 'value' };
    return ['interactive', 'mds-register'].includes(flag.name) ? { ...flag, hidden: true } : flag;
  }),
  ...prepareFlags.filter(({ name }) => /^(no-overlay$|private-users$|stage1-)/.test(name)),
  {
    name: 'port',
    kind: 'value',
    placeholder: 'NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT',
    repeatable: true,
    description: 'Forward a port of the host to one of the pod, tcp or udp',
  },
  uuidFileSaveFlag,
  pairs('annotation', 'Add an annotation to the pod'),
  pairs('user-annotation', "Set the pod's user annotations"),
  pairs('user-label', "Set the pod's user labels"),
];

const addFlags: readonly FlagSpec[] = [
  {
    name: 'mnt-volume',
    kind: 'value',
    placeholder: 'NAME,kind=KIND[,KEY=VALUE]...,target=PATH',
    repeatable: true,
    scope: 'image',
    description: 'Mount a volume that only this app has, with the keys of rkt run --volume',
  },
  // What rkt run has for the pod's own volumes, of which there are none here.
  {
    name: 'mount',
    kind: 'value',
    placeholder: 'MOUNT',
    scope: 'image',
    hidden: true,
    repeatable: true,
    description: 'Not for apps that are added',
  },
  ...imageFlags,
];

function pairs(name: string, description: string): FlagSpec {
  return { name, kind: 'value', placeholder: 'NAME=VALUE', repeatable: true, description };
}

/** `rkt app …`: pods whose apps come and go. */
export const appCommands: readonly CommandSpec[] = [
  {
    path: 'app sandbox',
    group: 'Pods',
    summary: 'Run a pod whose apps come and go',
    usage: '[FLAGS]',
    description: [
      'Runs a pod without apps in the foreground, until it is stopped. rkt app add and the other rkt app commands put apps into it. An app that fails does not end the pod.',
    ],
    flags: sandboxFlags,
    rootOnly: true,
    load: () => import('./commands/app-sandbox.ts'),
  },
  {
    path: 'app add',
    group: 'Pods',
    summary: 'Add an app to a running pod',
    usage: '[FLAGS] UUID IMAGE [IMAGE FLAGS] [-- ARG...]',
    description: [
      'Adds an app to a pod that rkt app sandbox runs, and prints its name; rkt app start starts it. IMAGE is the key or name of a stored image. Arguments behind -- take the place of those of the image.',
    ],
    flags: addFlags,
    imageGrammar: true,
    operand: 'pod',
    rootOnly: true,
    load: () => import('./commands/app-add.ts'),
  },
  {
    path: 'app start',
    group: 'Pods',
    summary: 'Start an app of a running pod',
    usage: '[FLAGS] UUID',
    description: [
      'Starts an app that was added or has ended, with the files as they are. An app that runs is left alone.',
    ],
    flags: [appFlag],
    operand: 'pod',
    operands: [1, 1],
    rootOnly: true,
    load: () => import('./commands/app-start.ts'),
  },
  {
    path: 'app stop',
    group: 'Pods',
    summary: 'Stop an app of a running pod',
    usage: '[FLAGS] UUID',
    description: [
      'Sends the app its stop signal, and returns when it has ended; what has not after the timeout is killed. stderr says which it was.',
    ],
    flags: [
      appFlag,
      {
        name: 'timeout',
        kind: 'value',
        placeholder: 'DURATION',
        default: '10s',
        description: 'How long the app has to stop in order',
      },
    ],
    operand: 'pod',
    operands: [1, 1],
    rootOnly: true,
    load: () => import('./commands/app-stop.ts'),
  },
  {
    path: 'app rm',
    group: 'Pods',
    summary: 'Remove an app from a pod',
    usage: '[FLAGS] UUID',
    description: ['Stops the app if it runs, and removes it from the pod with all its files.'],
    flags: [appFlag],
    operand: 'pod',
    operands: [1, 1],
    rootOnly: true,
    load: () => import('./commands/app-rm.ts'),
  },
  {
    path: 'app list',
    group: 'Pods',
    summary: 'List the apps of a pod',
    usage: '[FLAGS] UUID',
    description: [
      'Lists the apps of a pod with their states: created, running, exited or unknown.',
    ],
    flags: [formatFlag, noLegendFlag],
    operand: 'pod',
    operands: [1, 1],
    load: () => import('./commands/app-list.ts'),
  },
  {
    path: 'app status',
    group: 'Pods',
    summary: "Print an app's state",
    usage: '[FLAGS] UUID',
    description: ['Prints lines of key=value; what is not known is left out.'],
    flags: [appFlag, formatFlag],
    operand: 'pod',
    operands: [1, 1],
    load: () => import('./commands/app-status.ts'),
  },
];
