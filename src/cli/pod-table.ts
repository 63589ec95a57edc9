import type { CommandSpec } from './command.ts';
import {
  appFlag,
  formatFlag,
  fullFlag,
  noLegendFlag,
  prettyPrintFlag,
  uuidFileFlag,
  uuidFileSaveFlag,
} from './flag-sets.ts';
import { imageFlags, prepareFlags, startFlags } from './pod-flags.ts';

const podUsage = '[POD FLAGS] IMAGE [IMAGE FLAGS] [-- ARG... [---]] [IMAGE ...]';

const grammarText = [
  'Each IMAGE becomes an app of the pod. Flags of the pod may stand anywhere outside a list of app arguments; flags of an image follow that image. Arguments between -- and --- (or the end) are added to the command of the image before them, exactly as they are, empty ones too.',
  'IMAGE is a file (ACI, OCI archive or Docker archive), a folder with an OCI layout, a key (sha512-...), a name, as NAME[:VERSION][,LABEL=VALUE]..., an address (https://HOST/PATH.aci), or an image of a registry (docker://[REGISTRY/]REPOSITORY[:TAG|@DIGEST]). What is not in the store is fetched, as by rkt fetch.',
];

/** Pods from their making to their end. */
export const podCommands: readonly CommandSpec[] = [
  {
    path: 'run',
    group: 'Pods',
    summary: 'Run images as a pod',
    usage: podUsage,
    description: [
      'Prepares a pod and runs it in the foreground, as a child of whoever calls: signals, terminal and exit status pass through. SIGTERM or SIGINT stops the pod in order, a second one kills it.',
      ...grammarText,
      "The exit status is that of the app, of the first app to fail if there are several, or 254 when rkt itself failed. An app that a signal ended counts as 128 plus the signal's number.",
    ],
    flags: [...startFlags, ...prepareFlags, uuidFileSaveFlag, ...imageFlags],
    imageGrammar: true,
    operand: 'image',
    rootOnly: true,
    load: () => import('./commands/run.ts'),
  },
  {
    path: 'prepare',
    group: 'Pods',
    summary: 'Prepare a pod to be run later',
    usage: podUsage,
    description: [
      'Does everything that rkt run does ahead of the start, and prints the UUID for rkt run-prepared.',
      ...grammarText,
    ],
    flags: [
      ...prepareFlags,
      {
        name: 'quiet',
        kind: 'bool',
        description: 'Print nothing but the UUID',
      },
      ...imageFlags,
    ],
    imageGrammar: true,
    operand: 'image',
    rootOnly: true,
    load: () => import('./commands/prepare.ts'),
  },
  {
    path: 'run-prepared',
    group: 'Pods',
    summary: 'Run a prepared pod',
    usage: '[FLAGS] UUID',
    description: ['Runs a pod that rkt prepare made. A pod runs once.'],
    flags: startFlags,
    operand: 'pod',
    operands: [1, 1],
    rootOnly: true,
    load: () => import('./commands/run-prepared.ts'),
  },
  {
    path: 'list',
    group: 'Pods',
    summary: 'List pods',
    usage: '[FLAGS]',
    description: ['Lists the pods of this host, whatever their state.'],
    flags: [formatFlag, fullFlag, noLegendFlag],
    load: () => import('./commands/list.ts'),
  },
  {
    path: 'status',
    group: 'Pods',
    summary: "Print a pod's state",
    usage: '[FLAGS] (UUID | --uuid-file FILE)',
    description: [
      'Prints lines of key=value. The exit status is 0 for every state that could be read, and 254 when a wait came to its end in vain.',
      '--wait and --wait-ready alone, or with true, wait for ever; with a duration such as 30s or 1m30s, that long.',
    ],
    flags: [
      {
        name: 'wait',
        kind: 'optional',
        placeholder: 'BOOL|DURATION',
        bare: 'true',
        default: 'false',
        description: 'Wait until the pod has ended',
      },
      {
        name: 'wait-ready',
        kind: 'optional',
        placeholder: 'BOOL|DURATION',
        bare: 'true',
        default: 'false',
        description: 'Wait until the pod is ready',
      },
      {
        name: 'check-networks',
        kind: 'bool',
        description:
          "Have the networks' plugins check that the pod is in them as it was when it joined",
      },
      formatFlag,
      uuidFileFlag,
    ],
    operand: 'pod',
    operands: [0, 1],
    load: () => import('./commands/status.ts'),
  },
  {
    path: 'cat-manifest',
    group: 'Pods',
    summary: "Print a pod's manifest",
    usage: '[FLAGS] (UUID | --uuid-file FILE)',
    description: ['Prints the pod manifest as JSON.'],
    flags: [prettyPrintFlag, uuidFileFlag],
    operand: 'pod',
    operands: [0, 1],
    load: () => import('./commands/cat-manifest.ts'),
  },
  {
    path: 'stop',
    group: 'Pods',
    summary: 'Stop running pods',
    usage: '[FLAGS] (UUID... | --uuid-file FILE)',
    description: [
      'Tells the apps of the pods to stop, each by the stop signal of its image (SIGTERM if it names none), waits until the pods have ended, and kills what is left after the timeout. Prints the UUID of each pod that it stopped; stderr says which were stopped and which killed. A pod that has ended already is no failure.',
      'What an image has as StopSignal is its annotation appc.io/docker/stopsignal; an annotation of that name of the app (--annotation) takes its place.',
    ],
    flags: [
      {
        name: 'timeout',
        kind: 'value',
        placeholder: 'DURATION',
        default: '10s',
        description: 'How long the apps have to stop in order',
      },
      { name: 'force', kind: 'bool', description: 'Kill at once' },
      uuidFileFlag,
    ],
    operand: 'pod',
    operands: [0, Number.POSITIVE_INFINITY],
    load: () => import('./commands/stop.ts'),
  },
  {
    path: 'rm',
    group: 'Pods',
    summary: 'Remove pods that have ended or never ran',
    usage: '(UUID... | --uuid-file FILE)',
    description: ['Removes all files of the pods, and prints the UUID of each that is gone.'],
    flags: [uuidFileFlag],
    operand: 'pod',
    operands: [0, Number.POSITIVE_INFINITY],
    rootOnly: true,
    load: () => import('./commands/rm.ts'),
  },
  {
    path: 'gc',
    group: 'Pods',
    summary: 'Collect pods that nobody needs any more',
    usage: '[FLAGS]',
    description: [
      'Marks pods that have ended, and removes those that were marked a while ago. Running pods are never touched.',
    ],
    flags: [
      {
        name: 'grace-period',
        kind: 'value',
        placeholder: 'DURATION',
        default: '30m',
        description: 'How long an ended pod is kept after it was marked',
      },
      {
        name: 'expire-prepared',
        kind: 'value',
        placeholder: 'DURATION',
        default: '24h',
        description: 'How long a prepared pod may wait to be run',
      },
      { name: 'mark-only', kind: 'bool', description: 'Mark, and remove nothing' },
    ],
    rootOnly: true,
    load: () => import('./commands/gc.ts'),
  },
  {
    path: 'export',
    group: 'Pods',
    summary: 'Make an image of what a pod has left',
    usage: '[FLAGS] UUID OUT.aci',
    description: [
      "Makes an ACI of an app's files as the pod left them, without its volumes. The pod must have ended.",
    ],
    flags: [
      appFlag,
      {
        name: 'diff',
        kind: 'bool',
        description: "Only the app's changes, in an image that depends on the app's own",
      },
      { name: 'overwrite', kind: 'bool', description: 'Replace OUT.aci if it exists' },
    ],
    operand: 'pod',
    operands: [2, 2],
    rootOnly: true,
    load: () => import('./commands/export.ts'),
  },
];
