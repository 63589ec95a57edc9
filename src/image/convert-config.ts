import { posix } from 'node:path';
import { AppcError } from '../appc/error.ts';
import { parseImageManifest } from '../appc/parse.ts';
import { hostArch, labelValue } from '../appc/platform.ts';
import type { App, ImageManifest } from '../appc/types.ts';
import { ImageError } from './error.ts';
import { ownerOf } from './oci-config.ts';
import { type OciConfig, type Platform, parseConfig } from './oci-schema.ts';

/** The config's label that holds the appc manifest which the image was converted from, as JSON. */
export const manifestLabel = 'io.rkt.appc.manifest';

export interface ConfigRequest {
  readonly manifest: ImageManifest;
  /** `sha256:HEX` of each uncompressed layer, bottom first. */
  readonly diffIds: readonly string[];
  /** Who owns a path in the image; undefined when there is no such path. */
  ownerOfPath(path: string): { uid: number; gid: number } | undefined;
}

/**
 * Makes the OCI image config of an appc image (image-spec: config.md), the opposite of
 * imageManifestOf. The whole manifest goes along in a label. `warnings` has a line for what OCI gives
 * another meaning or no place.
 *
 * @throws ImageError `unsupported` for a user or group that is the owner of a path that is not there
 */
export function ociConfigOf({ manifest, diffIds, ownerOfPath }: ConfigRequest): {
  config: Buffer;
  platform: Platform;
  warnings: string[];
} {
  const warnings: string[] = [];
  const platform = platformOf(manifest, warnings);
  const created = creationDate(manifest, warnings);
  const author = annotation(manifest, 'authors');
  const { app } = manifest;
  if (app) warnings.push(...withoutPlace(app));
  const value = {
    ...(created !== undefined && { created }),
    ...(author !== undefined && { author }),
    ...platform,
    config: {
      ...(app && appConfig(app, manifest, ownerOfPath)),
      Labels: { ...labelsOf(app), [manifestLabel]: JSON.stringify(manifest) },
    },
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: diffIds.map(() => ({
      ...(created !== undefined && { created }),
      created_by: 'rkt image convert',
    })),
  };
  return { config: Buffer.from(JSON.stringify(value)), platform, warnings };
}

function labelsOf(app: App | undefined): Record<string, string> {
  const { [manifestLabel]: _, ...labels } = app?.userLabels ?? {};
  return labels;
}

function appConfig(
  app: App,
  manifest: ImageManifest,
  ownerOfPath: ConfigRequest['ownerOfPath'],
): object {
  const ports = app.ports.flatMap(({ port, count, protocol }) =>
    Array.from({ length: count }, (_, n) => `${port + n}/${protocol}`),
  );
  const volumes = app.mountPoints.map(({ path }) => posix.resolve('/', path));
  const stopSignal = annotation(manifest, 'appc.io/docker/stopsignal');
  return {
    User: userOf(app, manifest, ownerOfPath),
    ...(ports.length > 0 && { ExposedPorts: emptyObjects(ports) }),
    Env: app.environment.map(({ name, value }) => `${name}=${value}`),
    ...commandOf(app, manifest),
    ...(volumes.length > 0 && { Volumes: emptyObjects(volumes) }),
    ...(app.workingDirectory !== '' && { WorkingDir: app.workingDirectory }),
    ...(stopSignal !== undefined && { StopSignal: stopSignal }),
  };
}

function emptyObjects(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

/** Entrypoint and Cmd as they were, where the manifest still says so; else all is Entrypoint. */
function commandOf({ exec }: App, manifest: ImageManifest): object {
  const [entrypoint, command] = ['entrypoint', 'cmd'].map((name) =>
    stringList(annotation(manifest, `appc.io/docker/${name}`)),
  );
  if (JSON.stringify([...(entrypoint ?? []), ...(command ?? [])]) !== JSON.stringify(exec))
    return { Entrypoint: exec };
  return { ...(entrypoint && { Entrypoint: entrypoint }), ...(command && { Cmd: command }) };
}

function stringList(json: string | undefined): string[] | undefined {
  if (json === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) && value.every((each) => typeof each === 'string')
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}

function userOf(
  { user, group }: App,
  manifest: ImageManifest,
  ownerOfPath: ConfigRequest['ownerOfPath'],
): string {
  const before = annotation(manifest, 'appc.io/docker/user');
  const owner = before === undefined ? undefined : ownerOf(before);
  if (before !== undefined && owner?.user === user && owner.group === group) return before;
  const named = (text: string, id: 'uid' | 'gid') => {
    if (!text.startsWith('/')) return text;
    const found = ownerOfPath(text);
    if (found) return String(found[id]);
    throw new ImageError(
      'unsupported',
      `image "${manifest.name}" runs as the owner of ${text}, which OCI cannot say, and there is no such path in it`,
    );
  };
  return `${named(user, 'uid')}:${named(group, 'gid')}`;
}

/** GOARCH and GOARM of the appc architectures that are called otherwise there. */
const architectures: Readonly<Record<string, Omit<Platform, 'os'>>> = {
  i386: { architecture: '386' },
  x86_64: { architecture: 'amd64' },
  aarch64: { architecture: 'arm64' },
  aarch64_be: { architecture: 'arm64be' },
  armv6l: { architecture: 'arm', variant: 'v6' },
  armv7l: { architecture: 'arm', variant: 'v7' },
  armv7b: { architecture: 'armbe', variant: 'v7' },
};

function platformOf({ name, labels }: ImageManifest, warnings: string[]): Platform {
  const os = labelValue(labels, 'os');
  const arch = labelValue(labels, 'arch');
  if (os === undefined || arch === undefined)
    warnings.push(
      `image "${name}" has no label ${os === undefined ? 'os' : 'arch'}, which OCI requires: ${os ?? 'linux'} on ${arch ?? hostArch()} is taken`,
    );
  const known = arch ?? hostArch();
  return { os: os ?? 'linux', ...(architectures[known] ?? { architecture: known }) };
}

function creationDate(manifest: ImageManifest, warnings: string[]): string | undefined {
  const text = annotation(manifest, 'created')?.toUpperCase();
  if (text === undefined) return undefined;
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split('-').map(Number);
  const isInMonth = day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
  if (isInMonth && !Number.isNaN(Date.parse(text))) return text;
  warnings.push(`creation date ${JSON.stringify(text)} left out: there is no such moment`);
  return undefined;
}

function annotation({ annotations }: ImageManifest, name: string): string | undefined {
  return annotations.find((each) => each.name === name)?.value;
}

/** What changes how the app runs and what only the label can carry. */
function withoutPlace(app: App): string[] {
  const found = [
    app.isolators.length > 0 && 'isolators',
    app.eventHandlers.length > 0 && 'event handlers',
    app.supplementaryGIDs.length > 0 && 'supplementary groups',
    app.mountPoints.some(({ readOnly }) => readOnly) && 'read-only mount points',
    app.ports.some(({ socketActivated }) => socketActivated) && 'socket activation',
  ].filter((each) => each !== false);
  if (found.length === 0) return [];
  return [`OCI has no place for ${found.join(', ')}: kept in the label ${manifestLabel} only`];
}

/**
 * The appc manifest that an OCI image was converted from, when its config is still what that manifest
 * gives; else the manifest made from its config, without the stale label, and a warning.
 */
export function restoredManifest(
  manifest: ImageManifest,
  config: Buffer,
  ownerOfPath: ConfigRequest['ownerOfPath'],
): { manifest: ImageManifest; warnings: string[] } {
  const { app } = manifest;
  const text = app?.userLabels[manifestLabel];
  if (!app || text === undefined) return { manifest, warnings: [] };
  const restored = parsedManifest(text);
  if (restored && agrees(restored, config, ownerOfPath))
    return { manifest: restored, warnings: [] };
  return {
    manifest: { ...manifest, app: { ...app, userLabels: labelsOf(app) } },
    warnings: [`the label ${manifestLabel} is not used: the image was changed since it was set`],
  };
}

function parsedManifest(text: string): ImageManifest | undefined {
  try {
    return parseImageManifest(text);
  } catch (error) {
    if (error instanceof AppcError) return undefined;
    throw error;
  }
}

function agrees(
  restored: ImageManifest,
  config: Buffer,
  ownerOfPath: ConfigRequest['ownerOfPath'],
): boolean {
  const actual = parseConfig(config, 'image config');
  try {
    const { diff_ids: diffIds } = actual.rootfs;
    const wanted = ociConfigOf({ manifest: restored, diffIds, ownerOfPath });
    return comparable(actual) === comparable(parseConfig(wanted.config, 'image config'));
  } catch (error) {
    if (error instanceof ImageError) return false;
    throw error;
  }
}

/** A config as text that does not depend on the order of members, without the manifest's label. */
function comparable(config: OciConfig): string {
  const { [manifestLabel]: _, ...Labels } = config.config.Labels;
  return JSON.stringify({ ...config, config: { ...config.config, Labels } }, (_key, value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
