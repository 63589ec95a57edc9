/** The pod manifest that a command line asks for, and the check of one that is given. */
import { emptyExec, runtimeApp } from './app-plan.ts';
import { AppcError } from './error.ts';
import { mutableAnnotation } from './mutable.ts';
import type { PodContext, PodRequest, ResolvedImage } from './pod-request.ts';
import { type NamedApp, resolvePorts } from './ports.ts';
import type { PodManifest } from './types.ts';

/** The version of the spec that generated manifests follow. */
export const specVersion = '0.8.11';

/**
 * Checks what can be checked before any image is found or folder made: that volumes have names of
 * their own and that every mount names one.
 *
 * @throws AppcError `conflict` for a doubled volume, `not-found` for a dangling mount
 */
function checkPodRequest({ volumes, mounts, apps }: PodRequest): void {
  const names = new Set<string>();
  for (const { name } of volumes) {
    if (names.has(name)) throw new AppcError('conflict', `multiple volumes with name ${name}`);
    names.add(name);
  }
  for (const { volume, path, appVolume } of [...mounts, ...apps.flatMap((app) => app.mounts)])
    if (appVolume === undefined && !names.has(volume))
      throw new AppcError(
        'not-found',
        `dangling mount point "${path}": volume "${volume}" not found`,
      );
}

/**
 * Generates the pod manifest for a command line.
 *
 * @throws AppcError when an app has nothing to run, names collide, a mount dangles or a port is
 *   unknown, ambiguous or taken twice
 */
export function podManifest(request: PodRequest, context: PodContext): PodManifest {
  checkPodRequest(request);
  const apps = request.apps.map((app, index) => {
    const image = context.images[index];
    if (image === undefined)
      throw new AppcError('not-found', `image ${app.image} was not resolved to a stored image`);
    return runtimeApp(app, image, { ...request, ...context });
  });
  const names = new Set<string>();
  for (const { name } of apps) {
    if (names.has(name))
      throw new AppcError('conflict', `multiple apps with name ${name} (give one another --name)`);
    names.add(name);
  }
  resolvePorts(apps, request.ports);
  return {
    acVersion: specVersion,
    acKind: 'PodManifest',
    apps,
    volumes: request.volumes,
    isolators: [],
    annotations: [{ name: mutableAnnotation, value: String(context.mutable) }],
    ports: request.ports,
    userAnnotations: {},
    userLabels: {},
  };
}

/**
 * Checks a pod manifest of the user's against the images it names: each app has something to run,
 * each mount a volume, each port an app.
 *
 * @param images one for each app, in the same order
 * @throws AppcError as `podManifest`
 */
export function checkPodManifest(manifest: PodManifest, images: readonly ResolvedImage[]): void {
  const apps = manifest.apps.map(({ name, image, app }, index): NamedApp => {
    const section = app ?? images[index]?.manifest.app;
    if (section === undefined)
      throw new AppcError(
        'not-found',
        `app "${name}": neither the pod manifest nor image ${image.id} has an app section`,
      );
    if (section.exec.length === 0) throw emptyExec(image.name ?? image.id);
    return { name, app: section };
  });
  const volumes = new Set(manifest.volumes.map(({ name }) => name));
  for (const { name, mounts } of manifest.apps)
    for (const { volume, appVolume } of mounts)
      if (appVolume === undefined && !volumes.has(volume))
        throw new AppcError('not-found', `app "${name}": could not find volume ${volume}`);
  resolvePorts(apps, manifest.ports);
}
