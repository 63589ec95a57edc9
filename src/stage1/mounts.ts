import { posix } from 'node:path';
import type { App, PodManifest, RuntimeApp, Volume } from '../appc/index.ts';
import { Stage1Error } from './error.ts';

/** A volume as one app sees it. */
export interface AppMount {
  /** Names the volume in the pod: its name, or APP_NAME for one of the app's own. */
  readonly id: string;
  readonly volume: Volume;
  /** Absolute, inside the app's root. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Nobody asked for this volume: the image has a mount point that no mount covers. */
  readonly implicit: boolean;
  /** The root file system whose content at `target` an empty volume starts with; absent: nothing. */
  readonly seed?: string;
}

/**
 * What an app mounts, in order (surface 9.4): its mounts, then the image's mount points that none
 * of them covers, from the pod's volume of the same name or else an empty volume of their own.
 */
export function appMounts(pod: PodManifest, app: RuntimeApp, section: App): AppMount[] {
  const asked = app.mounts.map(({ volume: name, path, appVolume }) => {
    const volume = appVolume ?? pod.volumes.find((candidate) => candidate.name === name);
    if (!volume)
      throw new Stage1Error(
        'app-setup',
        `app "${app.name}" mounts a volume "${name}" at ${path} that the pod does not have`,
      );
    const id = appVolume ? ownId(app, appVolume.name) : volume.name;
    return { id, volume, target: targetOf(path, section), implicit: false };
  });
  const covered = new Set(asked.map(({ target }) => canonical(target)));
  const implied = section.mountPoints
    .filter((point) => !covered.has(canonical(point.path)))
    .map((point) => {
      const named = pod.volumes.find((volume) => volume.name === point.name);
      const volume = named ?? implicitVolume(`${app.name}-${point.name}`);
      const id = named ? named.name : ownId(app, point.name);
      return { id, volume, target: point.path, implicit: named === undefined };
    });
  const readOnlyAt = (target: string) =>
    section.mountPoints.find((point) => canonical(point.path) === canonical(target))?.readOnly;
  return [...asked, ...implied].map((mount) => ({
    ...mount,
    readOnly: mount.volume.readOnly ?? readOnlyAt(mount.target) ?? false,
  }));
}

/** No app and no volume has an underscore in its name (ACName), so this is nobody else's. */
function ownId(app: RuntimeApp, volume: string): string {
  return `${app.name}_${volume}`;
}

/** Whether the volume that an `id` names is one of an app's own. */
export function isVolumeOf(app: string, id: string): boolean {
  return id.startsWith(`${app}_`);
}

function canonical(path: string): string {
  return posix.normalize(`${path}/`);
}

/** A mount may name an image's mount point instead of a path. */
function targetOf(path: string, section: App): string {
  if (path.startsWith('/')) return path;
  return section.mountPoints.find((point) => point.name === path)?.path ?? `/${path}`;
}

function implicitVolume(name: string): Volume {
  return { name, kind: 'empty', mode: '0755', uid: 0, gid: 0 };
}

/** The volumes that any of the mounts uses, each once. */
export function usedVolumes(mounts: readonly AppMount[]): AppMount[] {
  return [...new Map(mounts.map((mount) => [mount.id, mount])).values()];
}
