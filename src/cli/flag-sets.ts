import type { FlagSpec } from './command.ts';

/** Taken by every command, anywhere among its flags. */
export const globalFlags: readonly FlagSpec[] = [
  { name: 'debug', kind: 'bool', description: 'Say more on stderr, and why each error came about' },
  {
    name: 'dir',
    kind: 'value',
    placeholder: 'DIR',
    description: 'Data folder (default: as configured, or /var/lib/rkt)',
  },
  {
    name: 'system-config',
    kind: 'value',
    placeholder: 'DIR',
    default: '/usr/lib/rkt',
    description: "The vendor's configuration",
    minor: true,
  },
  {
    name: 'local-config',
    kind: 'value',
    placeholder: 'DIR',
    default: '/etc/rkt',
    description: "The administrator's configuration",
    minor: true,
  },
  {
    name: 'user-config',
    kind: 'value',
    placeholder: 'DIR',
    description: 'More configuration, which wins over the others',
    minor: true,
  },
  {
    name: 'insecure-options',
    kind: 'value',
    placeholder: 'LIST',
    default: 'none',
    description:
      'Protections to turn off: image, tls, http, pubkey, capabilities, paths, seccomp, all-fetch, all-run, all',
  },
  {
    name: 'trust-keys-from-https',
    kind: 'bool',
    description: 'Accept keys that come over https without asking',
    minor: true,
  },
  {
    name: 'cpuprofile',
    kind: 'value',
    placeholder: 'FILE',
    hidden: true,
    description: 'Write a CPU profile',
  },
  {
    name: 'memprofile',
    kind: 'value',
    placeholder: 'FILE',
    hidden: true,
    description: 'Write a heap profile',
  },
];

export const formatFlag: FlagSpec = {
  name: 'format',
  kind: 'value',
  placeholder: 'FORMAT',
  choices: ['json', 'json-pretty'],
  description: 'Print json (one line) or json-pretty instead of text',
};

export const uuidFileFlag: FlagSpec = {
  name: 'uuid-file',
  kind: 'value',
  placeholder: 'FILE',
  description: 'Read the UUID from FILE, as --uuid-file-save wrote it',
};

/** For commands on one app of a pod. */
export const appFlag: FlagSpec = {
  name: 'app',
  kind: 'value',
  placeholder: 'NAME',
  description: 'The app, if the pod has several',
};

export const uuidFileSaveFlag: FlagSpec = {
  name: 'uuid-file-save',
  kind: 'value',
  placeholder: 'FILE',
  description: "Write the pod's UUID to FILE before anything else",
};

export const fullFlag: FlagSpec = {
  name: 'full',
  kind: 'bool',
  description: 'Print everything at full length',
};

export const noLegendFlag: FlagSpec = {
  name: 'no-legend',
  kind: 'bool',
  description: 'Leave out the line of headings',
};

export const prettyPrintFlag: FlagSpec = {
  name: 'pretty-print',
  kind: 'bool',
  default: 'true',
  description: 'Indent the JSON',
};

/** When images are looked for on the network. */
export function pullFlags(policy: string): FlagSpec[] {
  return [
    {
      name: 'pull-policy',
      kind: 'value',
      placeholder: 'POLICY',
      choices: ['new', 'never', 'update'],
      default: policy,
      description: 'When to look for images outside the store: new, never or update',
    },
    { name: 'store-only', kind: 'bool', hidden: true, description: 'Old for --pull-policy=never' },
    { name: 'no-store', kind: 'bool', hidden: true, description: 'Old for --pull-policy=update' },
  ];
}
