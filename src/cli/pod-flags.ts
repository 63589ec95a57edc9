import type { FlagSpec } from './command.ts';
import { pullFlags } from './flag-sets.ts';

/** Pod flags of `run` and `prepare`: what the pod is made from. */
export const prepareFlags: readonly FlagSpec[] = [
  {
    name: 'pod-manifest',
    kind: 'value',
    placeholder: 'FILE',
    description: 'Use a ready pod manifest instead of images and flags',
  },
  {
    name: 'volume',
    kind: 'value',
    placeholder: 'NAME,kind=KIND[,KEY=VALUE]...',
    repeatable: true,
    description:
      'Declare a volume: kind=host,source=PATH[,recursive=BOOL], kind=empty[,mode=M,uid=N,gid=N] or kind=tmpfs with size=QUANTITY too, and readOnly=BOOL',
  },
  {
    name: 'mount',
    kind: 'value',
    placeholder: 'volume=NAME,target=PATH',
    repeatable: true,
    scope: 'both',
    description: 'Mount a volume in the image before it; ahead of the first image, in every app',
  },
  {
    name: 'port',
    kind: 'value',
    placeholder: 'NAME:[IP:]PORT',
    repeatable: true,
    description: "Forward a port of the host to an app's port of that name",
  },
  {
    name: 'set-env',
    kind: 'value',
    placeholder: 'NAME=VALUE',
    repeatable: true,
    description: 'Set an environment variable in every app',
  },
  {
    name: 'set-env-file',
    kind: 'value',
    placeholder: 'FILE',
    repeatable: true,
    description: 'Set the variables of a file with a NAME=VALUE per line',
  },
  {
    name: 'inherit-env',
    kind: 'bool',
    description: "Pass on the caller's environment, except what the image sets",
  },
  ...pullFlags('new'),
  {
    name: 'no-overlay',
    kind: 'bool',
    description: 'Give the pod a full copy of its images instead of an overlay',
  },
  {
    name: 'private-users',
    kind: 'bool',
    description: 'Run in a user namespace with 65536 ids of its own',
  },
  {
    name: 'stage1-path',
    kind: 'value',
    placeholder: 'FILE',
    description: 'Take the stage1 image from a file',
  },
  {
    name: 'stage1-name',
    kind: 'value',
    placeholder: 'NAME',
    description: 'Take the stage1 image of this name',
  },
  {
    name: 'stage1-hash',
    kind: 'value',
    placeholder: 'KEY',
    description: 'Take the stage1 image with this key from the store',
  },
  {
    name: 'stage1-url',
    kind: 'value',
    placeholder: 'URL',
    description: 'Take the stage1 image from a URL',
  },
  {
    name: 'stage1-from-dir',
    kind: 'value',
    placeholder: 'FILE',
    description: 'Take the stage1 image from the configured folder of stage1 images',
  },
];

/** Flags of `run` and `run-prepared`: how the pod is started. */
export const startFlags: readonly FlagSpec[] = [
  {
    name: 'net',
    kind: 'optional',
    placeholder: 'NAME[:ARGS],...',
    bare: 'default',
    default: 'default',
    repeatable: true,
    description: 'Networks to join, or none, host, all',
  },
  {
    name: 'dns',
    kind: 'value',
    placeholder: 'IP,...',
    repeatable: true,
    description: "Name servers, or host for the host's resolv.conf, or none",
  },
  {
    name: 'dns-search',
    kind: 'value',
    placeholder: 'DOMAIN',
    repeatable: true,
    description: 'Search domain for name look-up',
  },
  {
    name: 'dns-opt',
    kind: 'value',
    placeholder: 'OPTION',
    repeatable: true,
    description: 'Resolver option, see resolv.conf(5)',
  },
  {
    name: 'dns-domain',
    kind: 'value',
    placeholder: 'DOMAIN',
    description: 'Local domain for name look-up',
  },
  {
    name: 'hosts-entry',
    kind: 'value',
    placeholder: 'IP=NAME,...',
    repeatable: true,
    description: "Add to /etc/hosts of the apps, or host for the host's file",
  },
  {
    name: 'hostname',
    kind: 'value',
    placeholder: 'NAME',
    description: 'Host name of the pod (default: rkt-UUID)',
  },
  {
    name: 'ipc',
    kind: 'value',
    placeholder: 'MODE',
    choices: ['auto', 'private', 'parent'],
    description: 'IPC namespace: auto, private or parent',
  },
  {
    name: 'interactive',
    kind: 'bool',
    description: 'Connect the terminal and stdin to the app; one image only',
  },
  {
    name: 'detach',
    kind: 'bool',
    description: 'Start the pod in the background, print its UUID and return when it is ready',
  },
  {
    name: 'mds-register',
    kind: 'bool',
    description: 'Register the pod with the metadata service',
  },
];

/** Flags that follow an image. */
export const imageFlags: readonly FlagSpec[] = [
  imageFlag('name', 'NAME', 'Name of the app in the pod (default: from the image name)'),
  imageFlag('exec', 'PATH', "Run this instead of the image's command"),
  imageFlag('user', 'USER', 'Run as this user: name, number, or path whose owner it is'),
  imageFlag('group', 'GROUP', 'Run as this group: name, number, or path whose group it is'),
  imageFlag('supplementary-gids', 'GID,...', 'Supplementary groups, as numbers'),
  imageFlag('working-dir', 'DIR', 'Working folder'),
  { ...imageFlag('environment', 'NAME=VALUE', 'Set an environment variable'), repeatable: true },
  imageFlag('readonly-rootfs', 'BOOL', 'Mount the root file system read-only'),
  imageFlag('memory', 'QUANTITY', 'Memory limit: 512M, 1Gi'),
  imageFlag('cpu', 'QUANTITY', 'CPU limit in cores: 2, 500m'),
  imageFlag('cpu-shares', 'N', 'CPU weight against other apps, 2 to 262144'),
  imageFlag('caps-retain', 'CAP,...', 'Keep only these capabilities'),
  imageFlag('caps-remove', 'CAP,...', 'Take these capabilities away'),
  { ...imageFlag('cap-retain', 'CAP,...', 'Old for --caps-retain'), hidden: true },
  { ...imageFlag('cap-remove', 'CAP,...', 'Old for --caps-remove'), hidden: true },
  imageFlag(
    'seccomp',
    'mode=MODE[,errno=E][,CALL]...',
    'Allow only (mode=retain) or forbid (mode=remove) these system calls',
  ),
  imageFlag('oom-score-adj', 'N', 'Preference of the OOM killer, -1000 to 1000'),
  imageFlag('io-weight', 'N', 'Share of block devices beside other apps, 1 to 10000 (default 100)'),
  imageFlag('tasks', 'N', 'Limit of processes and threads'),
  imageFlag(
    'ulimit',
    'NAME=SOFT[:HARD]',
    'Limit of each process, such as nofile=1024:4096 or core=unlimited (see getrlimit(2))',
  ),
  {
    ...imageFlag(
      'restart',
      'POLICY',
      'Start the app again when it has ended: no, on-failure or always; after 100 ms, and at most 5 times in 10 s (default: no)',
    ),
    choices: ['no', 'on-failure', 'always'],
  },
  imageFlag('stdin', 'MODE', 'What the app reads: null, stream or tty, for rkt attach'),
  imageFlag('stdout', 'MODE', 'Where its output goes: log, null, stream or tty'),
  imageFlag('stderr', 'MODE', 'The same for its errors'),
  imageFlag('signature', 'FILE', 'Detached signature of the image'),
  { ...imageFlag('annotation', 'NAME=VALUE', 'Add an annotation to the app'), repeatable: true },
  {
    ...imageFlag('user-annotation', 'NAME=VALUE', "Set the app's user annotations"),
    repeatable: true,
  },
  { ...imageFlag('user-label', 'NAME=VALUE', "Set the app's user labels"), repeatable: true },
];

function imageFlag(name: string, placeholder: string, description: string): FlagSpec {
  return { name, kind: 'value', placeholder, scope: 'image', description };
}
