import * as z from 'zod/mini';
import type { PodState } from '../pod/pods.ts';
import { ServiceError } from './error.ts';

/** The options a{sv} of the methods, and the flags of rkt that they become. */

const TEXTS = 'must be a list of texts (as)';
const MICROSECONDS = 'must be microseconds (t)';
const text = z.string('must be a text (s)');
const texts = z.array(z.string(TEXTS), TEXTS);
const flag = z.boolean('must be true or false (b)');
const microseconds = z.number(MICROSECONDS).check(z.nonnegative(MICROSECONDS));
const pullPolicy = oneOf(['new', 'never', 'update']);
const states = oneOf([
  'preparing',
  'aborted prepare',
  'prepared',
  'running',
  'exited',
  'exited deleting',
  'exited garbage',
] satisfies PodState[]);

function oneOf<const Words extends readonly string[]>(words: Words) {
  return z.enum(words, `must be one of ${words.join(', ')}`);
}

const prepare = {
  volume: z.optional(texts),
  mount: z.optional(texts),
  port: z.optional(texts),
  'set-env': z.optional(texts),
  'no-overlay': z.optional(flag),
  'pull-policy': z.optional(pullPolicy),
  'stage1-name': z.optional(text),
  name: z.optional(text),
  'insecure-options': z.optional(texts),
  arguments: z.optional(z.array(texts, 'must be a list of lists of texts (aas)')),
};
const start = {
  net: z.optional(texts),
  dns: z.optional(texts),
  'dns-search': z.optional(texts),
  'dns-opt': z.optional(texts),
  'dns-domain': z.optional(text),
  'hosts-entry': z.optional(texts),
  hostname: z.optional(text),
  'mds-register': z.optional(flag),
};

/** What each method takes as options, by its name; `none` for those that take none. */
export const OPTIONS = {
  ListPods: z.strictObject({ states: z.optional(z.array(states, TEXTS)) }),
  PreparePod: z.strictObject(prepare),
  RunPod: z.strictObject({ ...prepare, ...start, pod: z.optional(text) }),
  StopPod: z.strictObject({ timeout: z.optional(microseconds), force: z.optional(flag) }),
  Fetch: z.strictObject({
    'pull-policy': z.optional(pullPolicy),
    'insecure-options': z.optional(texts),
  }),
  CollectGarbage: z.strictObject({
    'grace-period': z.optional(microseconds),
    'expire-prepared': z.optional(microseconds),
  }),
  none: z.strictObject({}),
};

/** The options, if they are what the schema allows. Throws ServiceError `InvalidArgument`. */
export function checkOptions<T extends z.ZodMiniType>(schema: T, options: unknown): z.output<T> {
  const checked = z.safeParse(schema, options);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys : [];
  throw new ServiceError(
    'InvalidArgument',
    unknown.length > 0
      ? `unknown option ${unknown.map((key) => JSON.stringify(key)).join(', ')}`
      : `option ${JSON.stringify(issue?.path[0] ?? '')} ${issue?.message ?? ''}`,
  );
}

const PREPARE_FLAGS: readonly string[] = [
  'volume',
  'mount',
  'port',
  'set-env',
  'no-overlay',
  'pull-policy',
  'stage1-name',
];
const START_FLAGS: readonly string[] = Object.keys(start);

/** What a pod is made of. */
export interface PodSource {
  readonly images: readonly string[];
  /** The path of a file. */
  readonly manifest: string | undefined;
}

/** Options of RunPod, of which PreparePod takes those for the content. */
export type PodOptions = z.output<(typeof OPTIONS)['RunPod']>;

/** `rkt prepare …`. Throws ServiceError `InvalidArgument`. */
export function prepareArgv(source: PodSource, options: PodOptions): string[] {
  return [...globalFlags(options), 'prepare', ...contentArgv(source, options)];
}

/** `rkt run --detach …`, or `rkt run-prepared --detach …`. Throws ServiceError `InvalidArgument`. */
export function runArgv(source: PodSource, options: PodOptions): string[] {
  const { pod } = options;
  const how = ['--detach', ...flags(options, START_FLAGS)];
  if (pod === undefined)
    return [...globalFlags(options), 'run', ...how, ...contentArgv(source, options)];
  const made = [...PREPARE_FLAGS, 'arguments', 'name'].filter((name) => name in options);
  if (made.length > 0 || source.images.length > 0 || source.manifest !== undefined)
    throw new ServiceError('InvalidArgument', 'a prepared pod has its images and options already');
  return [...globalFlags(options), 'run-prepared', ...how, operand(pod)];
}

function contentArgv({ images, manifest }: PodSource, options: PodOptions): string[] {
  const { arguments: each = [], name } = options;
  if (images.length > 0 === (manifest !== undefined))
    throw new ServiceError('InvalidArgument', 'a pod is made of a manifest or of images');
  if (each.length > images.length || (name !== undefined && images.length !== 1))
    throw new ServiceError('InvalidArgument', 'there are more arguments or names than images');
  return [
    ...flags(options, PREPARE_FLAGS),
    ...(manifest === undefined ? [] : [`--pod-manifest=${manifest}`]),
    ...images.flatMap((image, at) => [
      operand(image),
      ...(name === undefined ? [] : [`--name=${name}`]),
      '--',
      ...appArguments(each[at] ?? []),
      '---',
    ]),
  ];
}

/** `rkt fetch …`. */
export function fetchArgv(image: string, options: z.output<(typeof OPTIONS)['Fetch']>): string[] {
  return [...globalFlags(options), 'fetch', '--full', ...flags(options, ['pull-policy']), image];
}

/** `rkt gc …`. */
export function gcArgv(options: z.output<(typeof OPTIONS)['CollectGarbage']>): string[] {
  const periods = Object.entries(options).map(([name, value]) => `--${name}=${seconds(value)}`);
  return ['gc', ...periods];
}

/** `rkt stop …`. */
export function stopArgv(uuid: string, options: z.output<(typeof OPTIONS)['StopPod']>): string[] {
  const { timeout, force } = options;
  return [
    'stop',
    ...(timeout === undefined ? [] : [`--timeout=${seconds(timeout)}`]),
    ...(force ? ['--force'] : []),
    uuid,
  ];
}

/** An operand is not taken for a flag. */
export function operand(text: string): string {
  if (text === '' || text.startsWith('-'))
    throw new ServiceError('InvalidArgument', `${JSON.stringify(text)} names nothing`);
  return text;
}

function globalFlags(options: { readonly 'insecure-options'?: string[] | undefined }): string[] {
  const insecure = options['insecure-options'] ?? [];
  return insecure.length > 0 ? [`--insecure-options=${insecure.join(',')}`] : [];
}

/** What would end the list of an app's arguments cannot be one of them. */
function appArguments(words: readonly string[]): readonly string[] {
  if (words.includes('---'))
    throw new ServiceError('InvalidArgument', 'an argument of an app cannot be "---"');
  return words;
}

function flags(options: Readonly<Record<string, unknown>>, names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const value = options[name];
    if (value === undefined) return [];
    return (Array.isArray(value) ? value : [value]).map((each) => `--${name}=${each}`);
  });
}

function seconds(microseconds: number | undefined): string {
  return `${Math.trunc(microseconds ?? 0)}us`;
}
