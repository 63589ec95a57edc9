import { readFileSync, statSync } from 'node:fs';
import type { PodManifest, RuntimeApp } from '../appc/index.ts';
import { isMutable } from '../appc/mutable.ts';
import { versionedName } from '../appc/versioned-name.ts';
import { readIfExists } from '../os/files.ts';
import {
  appSignal,
  appStatuses,
  POD_FILES,
  podPid,
  readAppImageManifest,
  readPodManifest,
} from '../stage1/pod-files.ts';
import { markedAt, type Pod, type PodState } from './pods.ts';

export type AppState = 'unknown' | 'created' | 'running' | 'exited';

/** What a table of pods tells about an app. */
export interface AppSummary {
  readonly name: string;
  readonly imageId: string;
  /** `NAME:VERSION`, as the image's manifest says; undefined when it cannot be read. */
  readonly imageName: string | undefined;
}

export interface AppInfo extends AppSummary {
  readonly state: AppState;
  readonly createdAt?: Date;
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
  /** 128 + signal for an app that a signal ended. */
  readonly exitCode?: number;
  readonly exitSignal?: number;
  readonly mounts: readonly {
    name: string;
    containerPath: string;
    hostPath: string;
    readOnly: boolean;
  }[];
  readonly userAnnotations: Readonly<Record<string, string>>;
  readonly userLabels: Readonly<Record<string, string>>;
}

/** A network that a pod has joined: an entry of net-info.json. */
export interface NetworkInfo {
  readonly netName: string;
  readonly ip?: string;
  readonly ip6?: string;
}

/** What a table of pods tells about one: little enough that hundreds are read at once. */
export interface PodSummary {
  readonly uuid: string;
  readonly state: PodState;
  readonly apps: readonly AppSummary[];
  readonly networks: readonly NetworkInfo[];
  readonly createdAt?: Date;
  readonly startedAt?: Date;
}

export interface PodInfo extends PodSummary {
  readonly apps: readonly AppInfo[];
  readonly pid?: number;
  readonly userAnnotations: Readonly<Record<string, string>>;
  readonly userLabels: Readonly<Record<string, string>>;
}

/** What the table of `list` tells about a pod. Throws when its manifest cannot be read. */
export function podSummary(pod: Pod): PodSummary {
  const { apps } = readPodManifest(pod.folder);
  return { ...common(pod), apps: apps.map((app) => appSummary(pod, app)) };
}

/** Everything that `list` and `status` tell about a pod. Throws when its manifest cannot be read. */
export function podInfo(pod: Pod): PodInfo {
  const manifest = readPodManifest(pod.folder);
  const info = common(pod);
  const pid = pod.state === 'running' ? podPid(pod.folder) : recordedPid(pod.folder);
  return {
    ...info,
    apps: appInfos(pod, manifest, info),
    ...(pid ? { pid } : {}),
    userAnnotations: manifest.userAnnotations,
    userLabels: manifest.userLabels,
  };
}

function common(pod: Pod): Omit<PodSummary, 'apps'> {
  const createdAt = mtime(pod.folder, 'pod-created') ?? mtime(pod.folder, POD_FILES.manifest);
  const startedAt = mtime(pod.folder, POD_FILES.pid) ?? mtime(pod.folder, POD_FILES.ppid);
  return {
    uuid: pod.uuid,
    state: pod.state,
    networks: JSON.parse(readIfExists(`${pod.folder}/net-info.json`) ?? '[]'),
    ...(createdAt ? { createdAt } : {}),
    ...(startedAt ? { startedAt } : {}),
  };
}

function appSummary(pod: Pod, { name, image }: RuntimeApp): AppSummary {
  return { name, imageId: image.id, imageName: imageName(pod, name) };
}

function appInfos(pod: Pod, manifest: PodManifest, times: Times): AppInfo[] {
  const statuses = appStatuses(pod.folder);
  const mutable = isMutable(manifest);
  const isDead = pod.group === 'exited-garbage' || pod.state === 'exited';
  return manifest.apps.map((app) => {
    const exitCode = statuses.get(app.name);
    const exitSignal = exitCode === undefined ? undefined : appSignal(pod.folder, app.name);
    const ownTimes = mutable ? markedTimes(pod.folder, app.name) : times;
    const state = mutable
      ? laterAppState(exitCode, isDead, ownTimes)
      : appState(pod, exitCode, times.startedAt);
    const finishedAt =
      exitCode !== undefined
        ? mtime(pod.folder, `${POD_FILES.status}/${app.name}`)
        : isDead
          ? markedAt(pod)
          : undefined;
    return {
      ...appSummary(pod, app),
      state,
      ...(ownTimes.createdAt ? { createdAt: ownTimes.createdAt } : {}),
      ...(ownTimes.startedAt ? { startedAt: ownTimes.startedAt } : {}),
      ...(finishedAt ? { finishedAt } : {}),
      ...(exitCode !== undefined ? { exitCode } : {}),
      ...(exitSignal !== undefined ? { exitSignal } : {}),
      mounts: app.mounts.map(({ volume: name, path, appVolume }) => {
        const volume = appVolume ?? manifest.volumes.find((candidate) => candidate.name === name);
        return {
          name,
          containerPath: path,
          hostPath: volume?.kind === 'host' ? volume.source : '',
          readOnly: volume?.readOnly ?? false,
        };
      }),
      userAnnotations: app.app?.userAnnotations ?? {},
      userLabels: app.app?.userLabels ?? {},
    };
  });
}

interface Times {
  readonly createdAt?: Date;
  readonly startedAt?: Date;
}

/** In a mutable pod each app has times of its own, those of its marks. */
function markedTimes(folder: string, app: string): Times {
  const createdAt = mtime(folder, `${POD_FILES.status}/${app}-created`);
  const startedAt = mtime(folder, `${POD_FILES.status}/${app}-started`);
  return { ...(createdAt ? { createdAt } : {}), ...(startedAt ? { startedAt } : {}) };
}

/** The state of an app in a mutable pod (surface 14.3). */
function laterAppState(exitCode: number | undefined, isDead: boolean, times: Times): AppState {
  if (isDead || exitCode !== undefined) return 'exited';
  if (!times.createdAt) return 'unknown';
  return times.startedAt ? 'running' : 'created';
}

function appState(pod: Pod, exitCode: number | undefined, startedAt: Date | undefined): AppState {
  if (exitCode !== undefined) return 'exited';
  if (pod.state === 'running') return startedAt ? 'running' : 'created';
  if (pod.state === 'exited' || pod.group === 'exited-garbage') return 'exited';
  return pod.state === 'prepared' ? 'created' : 'unknown';
}

function imageName(pod: Pod, app: string): string | undefined {
  try {
    const { name, labels } = readAppImageManifest(pod.folder, app);
    return versionedName(name, labels);
  } catch {
    return undefined;
  }
}

function mtime(folder: string, name: string): Date | undefined {
  return statSync(`${folder}/${name}`, { throwIfNoEntry: false })?.mtime;
}

function recordedPid(folder: string): number | undefined {
  const text = readIfExists(`${folder}/${POD_FILES.pid}`);
  return text ? Number(text.trim()) : undefined;
}

/** The pod manifest's text as it was stored. */
export function podManifestText(pod: Pod): string {
  return readFileSync(`${pod.folder}/${POD_FILES.manifest}`, 'utf8');
}
