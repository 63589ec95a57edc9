import type { CommandSpec } from './command.ts';
import { formatFlag, fullFlag, noLegendFlag, pullFlags } from './flag-sets.ts';

/** `rkt fetch`, and `rkt image fetch` for old scripts. */
const fetchCommand: Omit<CommandSpec, 'path'> = {
  group: 'Images',
  summary: 'Bring images into the store',
  usage: '[FLAGS] IMAGE [--signature=FILE] [IMAGE ...]',
  description: [
    'Finds each image, checks its signature, stores it with all that it depends on, and prints its key.',
    'IMAGE is the address of an ACI (https://HOST/PATH.aci), a name that is discovered on the network, as NAME[:VERSION][,LABEL=VALUE]..., an image of a registry (docker://[REGISTRY/]REPOSITORY[:TAG|@DIGEST]), or a file as for rkt image import.',
    'With --pull-policy=update servers are asked whether they have something newer, as often as they want to be; with new only for what is not in the store; with never not at all.',
  ],
  flags: [
    ...pullFlags('update'),
    fullFlag,
    { name: 'quiet', kind: 'bool', description: 'Print nothing but keys, warnings and errors' },
    {
      name: 'signature',
      kind: 'value',
      placeholder: 'FILE',
      scope: 'image',
      description: 'Detached signature of the image, instead of the one beside it',
    },
  ],
  imageGrammar: true,
  operand: 'image',
  load: () => import('./commands/fetch.ts'),
};

/** Where images come from, and whose are taken. */
export const fetchCommands: readonly CommandSpec[] = [
  { ...fetchCommand, path: 'fetch' },
  { ...fetchCommand, path: 'image fetch', hidden: true },
  {
    path: 'image discover',
    group: 'Images',
    summary: 'Show where an image would be fetched from',
    usage: '[FLAGS] NAME',
    description: [
      'Asks the pages that rkt fetch would ask for NAME[:VERSION][,LABEL=VALUE]..., and prints the addresses of the image, of its signature and of the keys that the pages name.',
    ],
    flags: [formatFlag, noLegendFlag],
    operand: 'image',
    operands: [1, 1],
    load: () => import('./commands/image-discover.ts'),
  },
  {
    path: 'trust',
    group: 'Images',
    summary: 'Trust a key that signs images',
    usage: '(--prefix PREFIX | --root) [FLAGS] [PUBKEY...]',
    description: [
      'Shows the keys of each PUBKEY, a file or an https URL, and stores them once they are accepted. Without a PUBKEY, keys are discovered from PREFIX, the first part of image names.',
      'PREFIX ends where an element of a name does: example.com/app is for example.com/app and example.com/app/worker, not for example.com/apple.',
      'Images of registries are verified by cosign.pub files in the same folders, trustedkeys/root.d and trustedkeys/prefix.d/PREFIX of the configuration, and by its policy.json (see containers-policy.json(5)).',
    ],
    flags: [
      {
        name: 'prefix',
        kind: 'value',
        placeholder: 'PREFIX',
        description: 'Trust the keys for the images whose names start so',
      },
      { name: 'root', kind: 'bool', description: 'Trust the keys for all images' },
      {
        name: 'insecure-allow-http',
        kind: 'bool',
        description: 'Take keys over plain HTTP as well',
      },
      {
        name: 'skip-fingerprint-review',
        kind: 'bool',
        description: 'Accept the keys without asking',
      },
    ],
    operand: 'file',
    operands: [0, Number.POSITIVE_INFINITY],
    load: () => import('./commands/trust.ts'),
  },
  {
    path: 'trust list',
    group: 'Images',
    summary: 'List trusted keys',
    usage: '[FLAGS]',
    description: [
      'Lists the keys of the vendor and of the administrator, with the prefix of image names that each is trusted for, or (root) for all.',
    ],
    flags: [formatFlag, noLegendFlag],
    load: () => import('./commands/trust-list.ts'),
  },
  {
    path: 'trust rm',
    group: 'Images',
    summary: 'Stop trusting a key',
    usage: '[--prefix PREFIX | --root] FINGERPRINT',
    description: [
      "Removes the key, wherever it is trusted unless a flag names one place. A key of the vendor's stays where it is, masked by an empty file in the administrator's configuration.",
    ],
    flags: [
      {
        name: 'prefix',
        kind: 'value',
        placeholder: 'PREFIX',
        description: 'Only for this prefix',
      },
      { name: 'root', kind: 'bool', description: 'Only as a key for all images' },
    ],
    operands: [1, 1],
    load: () => import('./commands/trust-rm.ts'),
  },
];
