import type { StoredImage } from '../image/store.ts';
import type { Pod } from '../pod/pods.ts';
import { imageAt, imageProperties } from './images.ts';
import type { Job } from './jobs.ts';
import {
  type Backend,
  cancelTransfer,
  managerMethods,
  managerObject,
  transfersOf,
} from './manager.ts';
import { type ApiObject, type ApiObjects, objectPath, ROOT } from './objects.ts';
import { podAt, podManifest, podProperties, podsOf } from './pods.ts';

/** The objects of the API. They are made anew for each question: their state is on disk. */
export function apiObjects(backend: Backend): ApiObjects {
  const { dataDir, store, jobs } = backend;
  const manager = managerObject(backend);
  return {
    find(path) {
      if (path === ROOT) return manager;
      const [kind, name = '', ...below] = path.slice(ROOT.length + 1).split('/');
      if (!path.startsWith(`${ROOT}/`) || below.length > 0) return undefined;
      if (kind === 'pod') return made(podAt(dataDir, name), (pod) => podObject(backend, pod));
      if (kind === 'image')
        return made(imageAt(store, name), (image) => imageObject(backend, image));
      if (kind === 'transfer')
        return made(
          transfersOf(jobs).find(({ id }) => String(id) === name),
          (job) => transferObject(backend, job),
        );
      return undefined;
    },
    all: () => [
      ...podsOf(dataDir).map((pod) => podObject(backend, pod)),
      ...store.list().map((image) => imageObject(backend, image)),
      ...transfersOf(jobs).map((job) => transferObject(backend, job)),
    ],
  };
}

function made<T>(thing: T | undefined, make: (thing: T) => ApiObject): ApiObject | undefined {
  return thing === undefined ? undefined : make(thing);
}

type Calls = Readonly<Record<string, ApiObject['call'] | undefined>>;

/** What the methods of an object do, by their name. */
function callOf(calls: Calls): ApiObject['call'] {
  return async (method, args, caller) => calls[method]?.(method, args, caller) ?? {};
}

/** The object of a pod: its methods are those of the manager with its UUID. */
export function podObject(backend: Backend, pod: Pod): ApiObject {
  const manager = managerMethods(backend);
  const { uuid } = pod;
  return {
    path: objectPath('pod', uuid),
    interface: 'io.rkt.Rkt1.Pod',
    properties: () => ({ ...podProperties(backend.dataDir, pod) }),
    call: callOf({
      GetManifest: async () => ({ manifest: podManifest(backend.dataDir, pod) }),
      Stop: async (_, { options }, caller) =>
        manager.StopPod({ uuid, options: dictionary(options) }, caller),
      Kill: async (_, { whom, signal }, caller) =>
        manager.KillPod({ uuid, whom: String(whom), signal: Number(signal) }, caller),
      Remove: async (_, { options }, caller) =>
        manager.RemovePod({ uuid, options: dictionary(options) }, caller),
    }),
  };
}

/** The object of an image: its methods are those of the manager with its key. */
export function imageObject(backend: Backend, image: StoredImage): ApiObject {
  const manager = managerMethods(backend);
  return {
    path: objectPath('image', image.key),
    interface: 'io.rkt.Rkt1.Image',
    properties: () => ({ ...imageProperties(image) }),
    call: callOf({
      GetManifest: async () => ({ manifest: backend.store.readManifest(image.key) }),
      Remove: async (_, { options }, caller) =>
        manager.RemoveImage({ image: image.key, options: dictionary(options) }, caller),
    }),
  };
}

/** The object of a job that somebody else than its caller looks at. */
export function transferObject({ jobs }: Backend, job: Job): ApiObject {
  return {
    path: objectPath('transfer', String(job.id)),
    interface: 'io.rkt.Rkt1.Transfer',
    properties: () => ({
      Id: job.id,
      Type: job.request.type,
      Subject: job.request.subject,
      Progress: job.now.progress,
      Rate: job.now.rate,
    }),
    call: callOf({
      Cancel: async (_method, _args, caller) => {
        await cancelTransfer(jobs, job, caller);
        return {};
      },
    }),
  };
}

function dictionary(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
