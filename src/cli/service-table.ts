import type { CommandSpec } from './command.ts';

/** What units and pods run, rather than people. */
export const serviceCommands: readonly CommandSpec[] = [
  {
    path: 'metadata-service',
    group: 'General',
    summary: 'Tell pods about themselves, over HTTP',
    usage: '[FLAGS]',
    description: [
      'Serves the metadata of pods that were started with --mds-register: their manifests, annotations, and signatures of what they say. It is started by rkt-metadata.socket and ends when nobody asks any more; by hand it stays until SIGTERM.',
    ],
    flags: [
      {
        name: 'listen-port',
        kind: 'value',
        placeholder: 'PORT',
        default: '18112',
        description: 'TCP port of the loopback, unless systemd passes sockets',
      },
    ],
    rootOnly: false,
    load: () => import('./commands/metadata-service.ts'),
  },
  {
    path: 'helper',
    group: 'General',
    summary: 'Serve the bus API io.rkt.Rkt1',
    usage: '',
    description: [
      'What rkt-helper.service runs: answers on the system bus and on the Varlink socket that systemd passes, and ends after 30 seconds without work.',
    ],
    flags: [
      {
        name: 'idle',
        kind: 'value',
        placeholder: 'DURATION',
        default: '30s',
        description: 'End after that long without work',
      },
    ],
    rootOnly: true,
    standalone: true,
    hidden: true,
    load: () => import('./commands/helper.ts'),
  },
  {
    path: 'transfer-worker',
    group: 'General',
    summary: 'Do the work of a transfer that the helper was asked for',
    usage: 'ID',
    description: ['What rkt-transfer@ID.service and rkt-job@ID.service run.'],
    flags: [
      {
        name: 'own-mounts',
        kind: 'bool',
        description: 'Mount in the mount namespace that is there, which is of no other service',
      },
    ],
    operands: [1, 1],
    rootOnly: true,
    standalone: true,
    hidden: true,
    load: () => import('./commands/transfer-worker.ts'),
  },
  {
    path: 'network-gc',
    group: 'Pods',
    summary: 'Leave the networks of a pod that has ended',
    usage: 'UUID',
    description: [
      'What a pod with networks has run at its end, and rkt gc for those where it was not.',
    ],
    flags: [],
    operand: 'pod',
    operands: [1, 1],
    rootOnly: true,
    hidden: true,
    load: () => import('./commands/network-gc.ts'),
  },
];
