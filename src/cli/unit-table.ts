import type { CommandSpec } from './command.ts';
import { uuidFileFlag, uuidFileSaveFlag } from './flag-sets.ts';

/** Commands for pods that are units. */
export const unitCommands: readonly CommandSpec[] = [
  {
    path: 'run-pod-file',
    group: 'Pods',
    summary: 'Run the pod that a file describes',
    usage: '[FLAGS] FILE|NAME',
    description: [
      'Runs the pod of a pod file (FILE.pod, see rkt-pod(5)) or of a pod manifest (FILE.json), as rkt run does. NAME stands for the file NAME.pod, or else NAME.json, in the folder pods of the local configuration, which is /etc/rkt/pods. It is what units of pods run: rkt-pod@NAME.service, and NAME.service for each pod file.',
    ],
    flags: [uuidFileSaveFlag],
    operand: 'file',
    operands: [1, 1],
    rootOnly: true,
    hidden: true,
    load: () => import('./commands/run-pod-file.ts'),
  },
  {
    path: 'reload',
    group: 'Pods',
    summary: 'Tell the apps of a pod to read their settings again',
    usage: '(UUID | --uuid-file FILE)',
    description: [
      'Sends SIGHUP to the main process of each running app that handles that signal; others, which it would end, are left alone. It is what systemctl reload does to the unit of a pod.',
    ],
    flags: [uuidFileFlag],
    operand: 'pod',
    operands: [0, 1],
    rootOnly: true,
    hidden: true,
    load: () => import('./commands/reload.ts'),
  },
  {
    path: 'generate',
    group: 'Pods',
    summary: 'Print a pod file for a pod',
    usage: '[FLAGS] (UUID | --uuid-file FILE)',
    description: [
      'Prints what, as /etc/rkt/pods/NAME.pod, makes NAME.service run the same pod: see rkt-pod(5). Images are named where the store has one of that name, and it is the same; otherwise by their key. What no flag can say comes as a pod manifest within the file.',
    ],
    flags: [uuidFileFlag],
    operand: 'pod',
    operands: [0, 1],
    load: () => import('./commands/generate.ts'),
  },
];
