import { parseImageReference } from '../image/reference.ts';
import type { Store } from '../image/store.ts';
import { version } from '../os/version.ts';
import { listKeys } from '../trust/list.ts';
import { checkPrefix } from '../trust/trust.ts';
import type { TrustRoots } from '../trust/types.ts';
import type { ManagerMethods, ManagerProperties } from './api.generated.ts';
import { ServiceError } from './error.ts';
import { imageLine, imageNamed } from './images.ts';
import { isTransfer, type Job, type Jobs, outputOf } from './jobs.ts';
import { type ApiObject, type Caller, objectPath, ROOT } from './objects.ts';
import {
  checkOptions,
  fetchArgv,
  gcArgv,
  OPTIONS,
  operand,
  type PodOptions,
  type PodSource,
  prepareArgv,
  runArgv,
  stopArgv,
} from './options.ts';
import { podLine, podNamed, podsOf } from './pods.ts';

/** What the API works on. */
export interface Backend {
  readonly dataDir: string;
  readonly store: Store;
  readonly trust: TrustRoots;
  readonly jobs: Jobs;
  readonly killPod: (uuid: string, whom: 'leader' | 'all', signal: number) => Promise<void>;
}

type Methods = {
  readonly [Name in keyof ManagerMethods]: (
    args: ManagerMethods[Name]['in'],
    caller: Caller,
  ) => Promise<ManagerMethods[Name]['out']>;
};

/** The object that everything else is reached by. */
export function managerObject(backend: Backend): ApiObject {
  const methods: Readonly<Record<string, unknown>> = managerMethods(backend);
  const properties: ManagerProperties = { Version: version };
  return {
    path: ROOT,
    interface: 'io.rkt.Rkt1.Manager',
    properties: () => ({ ...properties }),
    async call(name, args, caller) {
      const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
      if (typeof method !== 'function')
        throw new ServiceError('Failed', `the manager has no method ${name}`);
      return method(args, caller);
    },
  };
}

/**
 * What the methods of the manager do, by their name: io.rkt.Rkt1(5). That the caller may call them is
 * known already; they throw ServiceError, or an error of the domain that asServiceError translates.
 */
export function managerMethods(backend: Backend): Methods {
  const { dataDir, store, trust, jobs } = backend;
  return {
    async ListPods({ options }) {
      const { states } = checkOptions(OPTIONS.ListPods, options);
      const wanted = states && new Set<string>(states);
      const pods = podsOf(dataDir).filter((pod) => wanted?.has(pod.state) ?? true);
      return { pods: pods.map((pod) => podLine(dataDir, pod)) };
    },
    async GetPod({ uuid }) {
      return { object: objectPath('pod', podNamed(dataDir, uuid).uuid) };
    },
    async PreparePod({ manifest, images, options }) {
      const checked = checkOptions(OPTIONS.PreparePod, options);
      return makePod(backend, { manifest, images }, checked, prepareArgv);
    },
    async RunPod({ manifest, images, options }) {
      const checked = checkOptions(OPTIONS.RunPod, options);
      if (checked.pod !== undefined) {
        const { uuid, state } = podNamed(dataDir, operand(checked.pod));
        if (state !== 'prepared')
          throw new ServiceError('WrongState', `pod "${uuid}" is not prepared: it is ${state}`);
      }
      return makePod(backend, { manifest, images }, checked, runArgv);
    },
    async StopPod({ uuid, options }) {
      const checked = checkOptions(OPTIONS.StopPod, options);
      const pod = podNamed(dataDir, uuid);
      if (pod.state !== 'running')
        throw new ServiceError(
          'WrongState',
          `pod "${pod.uuid}" is not running: it is ${pod.state}`,
        );
      await command(jobs, `stop ${pod.uuid}`, stopArgv(pod.uuid, checked));
      return {};
    },
    async KillPod({ uuid, whom, signal }) {
      if (whom !== 'leader' && whom !== 'all')
        throw new ServiceError('InvalidArgument', `whom is leader or all, not "${whom}"`);
      if (signal < 1 || signal > 64)
        throw new ServiceError('InvalidArgument', `${signal} is not a signal`);
      const pod = podNamed(dataDir, uuid);
      if (pod.state !== 'running')
        throw new ServiceError(
          'WrongState',
          `pod "${pod.uuid}" is not running: it is ${pod.state}`,
        );
      await backend.killPod(pod.uuid, whom, signal);
      return {};
    },
    async RemovePod({ uuid, options }) {
      checkOptions(OPTIONS.none, options);
      const pod = podNamed(dataDir, uuid);
      if (pod.state === 'running' || pod.state === 'preparing')
        throw new ServiceError('WrongState', `pod "${pod.uuid}" is ${pod.state}`);
      await command(jobs, `remove ${pod.uuid}`, ['rm', pod.uuid]);
      return {};
    },
    async ListImages({ options }) {
      checkOptions(OPTIONS.none, options);
      return { images: store.list().map(imageLine) };
    },
    async GetImage({ image }) {
      return { object: objectPath('image', imageNamed(store, image).key) };
    },
    async Fetch({ image, options }, caller) {
      const checked = checkOptions(OPTIONS.Fetch, options);
      checkRemote(image);
      // What nobody vouches for could then be run by its name.
      if (checked['insecure-options'] !== undefined)
        await caller.authorize('io.rkt.Rkt1.manage-trust');
      const argv = fetchArgv(operand(image), checked);
      return transfer(await jobs.start({ type: 'fetch', subject: image }, () => argv));
    },
    async RemoveImage({ image, options }) {
      checkOptions(OPTIONS.none, options);
      const { key } = imageNamed(store, image);
      await command(jobs, `remove ${key}`, ['image', 'rm', key]);
      return {};
    },
    async ListKeys({ options }) {
      checkOptions(OPTIONS.none, options);
      const keys = await listKeys(trust, () => {});
      return {
        keys: keys.map(({ prefix = '', fingerprint, location, identities, masked }) => ({
          prefix,
          fingerprint,
          path: location,
          more: { identities, masked },
        })),
      };
    },
    async TrustKey({ prefix, key, options }) {
      checkOptions(OPTIONS.none, options);
      const job = await jobs.start(
        { type: 'command', subject: `trust a key for ${prefix || 'all images'}` },
        (path) => ['trust', ...scope(prefix), '--skip-fingerprint-review', path('key')],
        { key },
      );
      const added = outputOf(await job.done()).matchAll(/^Added .* at "(?:.*\/)?([0-9a-f]+)"$/gm);
      return { fingerprints: [...added].map(([, fingerprint = '']) => fingerprint) };
    },
    async UntrustKey({ prefix, fingerprint, options }) {
      checkOptions(OPTIONS.none, options);
      const wanted = fingerprint.replaceAll(' ', '').toLowerCase();
      const keys = await listKeys(trust, () => {});
      if (!keys.some((key) => (key.prefix ?? '') === prefix && key.fingerprint === wanted))
        throw new ServiceError('NoSuchKey', `no key ${fingerprint} is trusted for "${prefix}"`);
      const argv = ['trust', 'rm', ...scope(prefix), wanted];
      await command(jobs, `trust ${wanted} no longer`, argv);
      return {};
    },
    async CollectGarbage({ options }) {
      const argv = gcArgv(checkOptions(OPTIONS.CollectGarbage, options));
      return transfer(await jobs.start({ type: 'gc', subject: '' }, () => argv));
    },
    async ListTransfers({ options }) {
      checkOptions(OPTIONS.none, options);
      return {
        transfers: transfersOf(jobs).map(({ id, request, now }) => ({
          id,
          type: request.type,
          subject: request.subject,
          progress: now.progress,
          more: { rate: now.rate },
          object: objectPath('transfer', String(id)),
        })),
      };
    },
    async CancelTransfer({ id }, caller) {
      const job = transfersOf(jobs).find((each) => each.id === id);
      if (!job) throw new ServiceError('NoSuchTransfer', `there is no transfer ${id}`);
      await cancelTransfer(jobs, job, caller);
      return {};
    },
  };
}

/** Jobs that somebody else than their caller looks at. */
export function transfersOf(jobs: Jobs): Job[] {
  return jobs.list().filter(isTransfer);
}

/** Ends a transfer. Throws ServiceError `AccessDenied` for a collection of garbage, which takes more. */
export async function cancelTransfer(jobs: Jobs, job: Job, caller: Caller): Promise<void> {
  if (job.request.type === 'gc') await caller.authorize('io.rkt.Rkt1.manage-pods');
  await jobs.cancel(job);
}

/** Has a command run in a worker, until its end. Throws ServiceError `Failed`. */
async function command(jobs: Jobs, subject: string, argv: readonly string[]): Promise<string> {
  const job = await jobs.start({ type: 'command', subject }, () => argv);
  return outputOf(await job.done());
}

async function makePod(
  { jobs }: Backend,
  { manifest, images }: { readonly manifest: string; readonly images: readonly string[] },
  options: PodOptions,
  argvOf: (source: PodSource, options: PodOptions) => string[],
): Promise<{ uuid: string; object: string }> {
  const files = manifest === '' ? {} : { manifest };
  const job = await jobs.start(
    { type: 'command', subject: `make a pod of ${images.join(', ') || 'a manifest'}` },
    (path) => argvOf({ images, manifest: manifest === '' ? undefined : path('manifest') }, options),
    files,
  );
  const uuid =
    outputOf(await job.done())
      .trim()
      .split('\n')
      .at(-1) ?? '';
  return { uuid, object: objectPath('pod', uuid) };
}

function transfer({ id }: Job): { id: number; object: string } {
  return { id, object: objectPath('transfer', String(id)) };
}

/** A file is read with the helper's rights, which are not the caller's. */
export function checkRemote(image: string): void {
  const { kind } = parseImageReference(image);
  if (kind !== 'name' && kind !== 'url' && kind !== 'docker')
    throw new ServiceError('InvalidArgument', `cannot fetch ${image}: it is not on the network`);
}

function scope(prefix: string): string[] {
  if (prefix !== '') checkPrefix(prefix);
  return prefix === '' ? ['--root'] : [`--prefix=${prefix}`];
}
