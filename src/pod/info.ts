import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { PodManifest } from '../appc/index.ts';
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

export interface AppInfo {
  readonly name: string;
  readonly state: AppState;
  readonly imageId: string;
  /** `NAME:VERSION`, as the image's manifest says; undefined when it cannot be read. */
  readonly imageName: string | undefined;
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
}

export interface PodInfo {
  readonly uuid: string;
  readonly state: PodState;
  readonly apps: readonly AppInfo[];
  readonly networks: readonly NetworkInfo[];
  readonly createdAt?: Date;
  readonly startedAt?: Date;
  readonly pid?: number;
  readonly userAnnotations: Readonly<Record<string, string>>;
  readonly userLabels: Readonly<Record<string, string>>;
}

/** Everything that `list` and `status` tell about a pod. Throws when its manifest cannot be read. */
export function podInfo(pod: Pod): PodInfo {
  const manifest = readPodManifest(pod.folder);
  const createdAt = mtime(pod.folder, 'pod-created') ?? mtime(pod.folder, POD_FILES.manifest);
  const startedAt = mtime(pod.folder, POD_FILES.pid) ?? mtime(pod.folder, POD_FILES.ppid);
  const pid = pod.state === 'running' ? podPid(pod.folder) : recordedPid(pod.folder);
  return {
    uuid: pod.uuid,
    state: pod.state,
    apps: appInfos(pod, manifest, { createdAt, startedAt }),
    networks: JSON.parse(readIfExists(join(pod.folder, 'net-info.json')) ?? '[]'),
    ...(createdAt ? { createdAt } : {}),
    ...(startedAt ? { startedAt } : {}),
    ...(pid ? { pid } : {}),
    userAnnotations: manifest.userAnnotations,
    userLabels: manifest.userLabels,
  };
}

function appInfos(
  pod: Pod,
  manifest: PodManifest,
  times: { createdAt: Date | undefined; startedAt: Date | undefined },
): AppInfo[] {
  const statuses = appStatuses(pod.folder);
  const isDead = pod.group === 'exited-garbage' || pod.state === 'exited';
  return manifest.apps.map((app) => {
    const exitCode = statuses.get(app.name);
    const exitSignal = exitCode === undefined ? undefined : appSignal(pod.folder, app.name);
    const state = appState(pod, exitCode, times.startedAt);
    const finishedAt =
      exitCode !== undefined
        ? mtime(pod.folder, join(POD_FILES.status, app.name))
        : isDead
          ? markedAt(pod)
          : undefined;
    return {
      name: app.name,
      state,
      imageId: app.image.id,
      imageName: imageName(pod, app.name),
      ...(times.createdAt ? { createdAt: times.createdAt } : {}),
      ...(times.startedAt ? { startedAt: times.startedAt } : {}),
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

function appState(pod: Pod, exitCode: number | undefined, startedAt: Date | undefined): AppState {
  if (exitCode !== undefined) return 'exited';
  if (pod.state === 'running') return startedAt ? 'running' : 'created';
  if (pod.state === 'exited' || pod.group === 'exited-garbage') return 'exited';
  return pod.state === 'prepared' ? 'created' : 'unknown';
}

function imageName(pod: Pod, app: string): string | undefined {
  try {
    const { name, labels } = readAppImageManifest(pod.folder, app);
    const version = labels.find((label) => label.name === 'version')?.value;
    return version ? `${name}:${version}` : name;
  } catch {
    return undefined;
  }
}

function mtime(folder: string, name: string): Date | undefined {
  return statSync(join(folder, name), { throwIfNoEntry: false })?.mtime;
}

function recordedPid(folder: string): number | undefined {
  const text = readIfExists(join(folder, POD_FILES.pid));
  return text ? Number(text.trim()) : undefined;
}

/** The pod manifest's text as it was stored. */
export function podManifestText(pod: Pod): string {
  return readFileSync(join(pod.folder, POD_FILES.manifest), 'utf8');
}
