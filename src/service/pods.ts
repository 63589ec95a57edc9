import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { readIfExists } from '../os/files.ts';
import { PodError } from '../pod/error.ts';
import { type PodInfo, podInfo, podManifestText } from '../pod/info.ts';
import { findPod, listPods, type Pod, podRemoved, readPod, refreshPod } from '../pod/pods.ts';
import type { ManagerMethods, PodProperties } from './api.generated.ts';
import { ServiceError } from './error.ts';
import { objectPath } from './objects.ts';

/** The pods that `rkt list` lists. */
export function podsOf(dataDir: string): Pod[] {
  return listPods(dataDir, ['prepare', 'prepared', 'run', 'exited-garbage']);
}

/** The pod of an object's path; undefined when there is none. */
export function podAt(dataDir: string, name: string): Pod | undefined {
  const uuid = name.replaceAll('_', '-');
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return undefined;
  const pod = refreshPod(dataDir, uuid);
  return pod && pod.group !== 'garbage' && pod.group !== 'embryo' ? pod : undefined;
}

/** A pod by its UUID or the beginning of it. Throws ServiceError `NoSuchPod`, PodError. */
export function podNamed(dataDir: string, uuid: string): Pod {
  try {
    return findPod(dataDir, uuid);
  } catch (error) {
    if (!(error instanceof PodError && error.code === 'no-such-pod')) throw error;
    throw new ServiceError('NoSuchPod', `there is no pod "${uuid}"`, error);
  }
}

/** The properties of a pod: times in microseconds since 1970, 0 for what has not happened. */
export function podProperties(dataDir: string, pod: Pod): PodProperties {
  const info = infoOf(dataDir, pod);
  const ends = info.apps.map(({ finishedAt }) => microseconds(finishedAt));
  const ended = info.state === 'exited' || info.state.startsWith('exited ');
  return {
    UUID: pod.uuid,
    State: info.state,
    Apps: info.apps.map((app) => ({
      name: app.name,
      image: app.imageId,
      state: app.state,
      status: app.exitCode ?? -1,
      more: {
        ...(app.imageName === undefined ? {} : { 'image-name': app.imageName }),
        ...(app.exitSignal === undefined ? {} : { signal: app.exitSignal }),
      },
    })),
    Unit: unitOf(pod),
    Leader: info.state === 'running' ? (info.pid ?? 0) : 0,
    Addresses: addressesOf(info),
    CreatedTimestamp: microseconds(info.createdAt),
    StartedTimestamp: microseconds(info.startedAt),
    ExitedTimestamp: ended ? Math.max(0, ...ends) : 0,
  };
}

/** A line of ListPods. */
export function podLine(
  dataDir: string,
  pod: Pod,
): ManagerMethods['ListPods']['out']['pods'][number] {
  const info = infoOf(dataDir, pod);
  return {
    uuid: pod.uuid,
    state: info.state,
    created: microseconds(info.createdAt),
    more: {
      apps: info.apps.map(({ name }) => name),
      images: info.apps.map(({ imageName, imageId }) => imageName ?? imageId),
      addresses: addressesOf(info).map(({ network, address }) => `${network}=${address}`),
      unit: unitOf(pod),
    },
    object: objectPath('pod', pod.uuid),
  };
}

/** A pod's manifest, as JSON. Throws ServiceError `WrongState` when it is not written yet. */
export function podManifest(dataDir: string, pod: Pod): string {
  const text = readPod(dataDir, pod, (now) =>
    existsSync(`${now.folder}/pod`) ? podManifestText(now) : '',
  );
  if (text === undefined) throw podRemoved(pod);
  if (text !== '') return text;
  throw new ServiceError('WrongState', `pod "${pod.uuid}" has no manifest yet`);
}

/** A pod that is just being made, or removed, has nothing to read. */
function infoOf(
  dataDir: string,
  pod: Pod,
): Pick<PodInfo, 'apps' | 'networks' | 'state'> & Partial<PodInfo> {
  const nothing = { state: pod.state, apps: [], networks: [] };
  try {
    return readPod(dataDir, pod, podInfo) ?? nothing;
  } catch {
    return nothing;
  }
}

/** Where the pod's cgroup is: the unit is the last folder that bears a unit's name. */
function unitOf(pod: Pod): string {
  if (pod.state !== 'running') return '';
  const path = readIfExists(`${pod.folder}/subcgroup`)?.trim() ?? '';
  const units = path.split('/').filter((name) => /\.(service|scope)$/.test(name));
  return basename(units[0] ?? '');
}

function addressesOf({ networks }: Pick<PodInfo, 'networks'>) {
  return networks.flatMap(({ netName, ip, ip6 }) =>
    [ip, ip6].flatMap((address) => (address === undefined ? [] : [{ network: netName, address }])),
  );
}

function microseconds(time: Date | undefined): number {
  return time ? Math.trunc(time.getTime()) * 1000 : 0;
}
