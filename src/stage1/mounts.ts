import { posix } from 'node:path';
import type { App, PodManifest, RuntimeApp, Volume } from '../appc/index.ts';
import { Stage1Error } from './error.ts';

/** A volume as one app sees it. */
export interface AppMount {
  readonly volume: Volume;
  /** Absolute, inside the app's root. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Nobody asked for this volume: the image has a mount point that no mount covers. */
  readonly implicit: boolean;
}

/**
 * What an app mounts, in order (surface 9.4): its mounts, then the image's mount points that none
 * of them covers, from the pod's volume of the same name or else an empty volume of their own.
 */
export function appMounts(pod: PodManifest, app: RuntimeApp, section: App): AppMount[] {
  const targets = new Set(app.mounts.map((mount) => posix.normalize(`${mount.path}/`)));
  const points = section.mountPoints.filter((p) => !targets.has(posix.normalize(`${p.path}/`)));
  const asked = app.mounts.map(({ volume: name, path, appVolume }) => {
    const volume = appVolume ?? pod.volumes.find((candidate) => candidate.name === name);
    if (!volume)
      throw new Stage1Error(
        'app-setup',
        `app "${app.name}" mounts a volume "${name}" at ${path} that the pod does not have`,
      );
    return { volume, target: targetOf(path, section), implicit: false };
  });
  const implied = points.map((point) => {
    const named = pod.volumes.find((volume) => volume.name === point.name);
    return {
      volume: named ?? implicitVolume(`${app.name}-${point.name}`),
      target: point.path,
      implicit: named === undefined,
    };
  });
  return [...asked, ...implied].map(({ volume, target, implicit }) => ({
    volume,
    target,
    implicit,
    readOnly:
      volume.readOnly ??
      section.mountPoints.find((point) => point.path === target)?.readOnly ??
      false,
  }));
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
export function usedVolumes(mounts: readonly AppMount[]): Volume[] {
  return [...new Map(mounts.map((mount) => [mount.volume.name, mount.volume])).values()];
}
