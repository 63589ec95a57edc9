import { posix } from 'node:path';
import { sanitizeACName } from '../appc/names.ts';
import { validateImageManifest } from '../appc/parse.ts';
import type { App, ImageManifest, MountPoint, NameValue, Port } from '../appc/types.ts';
import { ImageError } from './error.ts';
import type { OciConfig, Platform } from './oci-schema.ts';

/** Version of the App Container spec that mapped manifests follow. */
const acVersion = '0.8.11';

/** What the config of an image does not say about it. */
export interface OciOrigin {
  /** What messages call the image, such as a path. */
  where: string;
  /** Image name, an ACIdentifier. */
  name: string;
  /** Tag; absent when it has none. */
  version?: string;
  /** More annotations, `appc.io/docker/…`. */
  annotations: NameValue[];
}

/**
 * Makes the image manifest of an OCI or Docker image from its config (image-spec: config.md,
 * conversion.md).
 *
 * What appc cannot express is left out, with one line for each in `warnings`: a variable whose name
 * appc forbids, a volume at `/`, a creation date in another form than RFC 3339.
 *
 * @throws ImageError `bad-manifest` for a port that is none; `unsupported` for a platform that appc
 * has no name for
 */
export function imageManifestOf(
  config: OciConfig,
  origin: OciOrigin,
): { manifest: ImageManifest; warnings: string[] } {
  const warnings: string[] = [];
  const inner = config.config;
  const app: App = {
    exec: [...inner.Entrypoint, ...inner.Cmd],
    ...ownerOf(inner.User),
    supplementaryGIDs: [],
    workingDirectory: inner.WorkingDir === '' ? '' : posix.resolve('/', inner.WorkingDir),
    environment: environment(inner.Env, warnings),
    eventHandlers: [],
    mountPoints: mountPoints(Object.keys(inner.Volumes), warnings),
    ports: Object.keys(inner.ExposedPorts).map((text) => port(text, origin.where)),
    isolators: [],
    userAnnotations: {},
    userLabels: inner.Labels,
  };
  const manifest: ImageManifest = {
    acKind: 'ImageManifest',
    acVersion,
    name: origin.name,
    labels: [
      ...(origin.version === undefined ? [] : [{ name: 'version', value: origin.version }]),
      { name: 'os', value: config.os },
      { name: 'arch', value: archLabel(config) },
    ],
    app,
    annotations: [...annotations(config, warnings), ...origin.annotations],
    dependencies: [],
    pathWhitelist: [],
  };
  return { manifest: validated(manifest, origin.where), warnings };
}

function validated(manifest: ImageManifest, where: string): ImageManifest {
  try {
    return validateImageManifest(manifest);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ImageError(
      'unsupported',
      `the image config of ${where} has no appc equivalent: ${why}`,
      error,
    );
  }
}

/** The appc name of a platform's architecture (image-spec and Go: GOARCH, with ARM's variant). */
export function archLabel(platform: Omit<Platform, 'os'>): string {
  switch (platform.architecture) {
    case '386':
      return 'i386';
    case 'arm64':
      return 'aarch64';
    case 'arm64be':
      return 'aarch64_be';
    case 'armbe':
      return 'armv7b';
    case 'arm':
      return platform.variant === 'v5' || platform.variant === 'v6' ? 'armv6l' : 'armv7l';
    default:
      return platform.architecture;
  }
}

/** `USER[:GROUP]`; a user alone names its group as well, none at all is root. */
export function ownerOf(text: string): { user: string; group: string } {
  const [user = '', group = ''] = text.split(':', 2);
  const named = user || '0';
  return { user: named, group: group || named };
}

/** `NAME=VALUE` each; the last of a name counts. */
function environment(entries: readonly string[], warnings: string[]): NameValue[] {
  const found = new Map<string, string>();
  for (const entry of entries) {
    const equals = entry.indexOf('=');
    const name = entry.slice(0, Math.max(equals, 0));
    if (/^[A-Za-z_][A-Za-z_0-9.-]*$/.test(name)) found.set(name, entry.slice(equals + 1));
    else
      warnings.push(`environment entry ${JSON.stringify(entry)} of the image left out: bad name`);
  }
  return [...found].map(([name, value]) => ({ name, value }));
}

function mountPoints(paths: readonly string[], warnings: string[]): MountPoint[] {
  const names = new Set<string>();
  const targets = [...new Set(paths.map((path) => posix.resolve('/', path)))];
  return targets.flatMap((path) => {
    if (!/[a-z0-9]/i.test(path)) {
      warnings.push(`volume ${JSON.stringify(path)} of the image left out: no name for it`);
      return [];
    }
    const base = `volume-${sanitizeACName(path)}`;
    let name = base;
    for (let n = 1; names.has(name); n++) name = `${base}-${n}`;
    names.add(name);
    return [{ name, path, readOnly: false }];
  });
}

/** `PORT[-LAST][/PROTOCOL]`, tcp when nothing is said. */
function port(text: string, where: string): Port {
  const [, first, last, protocol = 'tcp'] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([A-Za-z0-9]+))?$/.exec(text) ?? [];
  const from = Number(first);
  const to = Number(last ?? first);
  if (!(from >= 1 && to >= from && to <= 65_535))
    throw new ImageError(
      'bad-manifest',
      `bad image config of ${where}: config.ExposedPorts: ${JSON.stringify(text)} must be PORT[-LAST][/PROTOCOL] from 1 to 65535`,
    );
  const lower = protocol.toLowerCase();
  return {
    name: `${last === undefined ? from : `${from}-${to}`}-${lower}`,
    protocol: lower,
    port: from,
    count: to - from + 1,
    socketActivated: false,
  };
}

function annotations(config: OciConfig, warnings: string[]): NameValue[] {
  const inner = config.config;
  const dated =
    config.created === undefined ||
    (rfc3339.test(config.created) && !Number.isNaN(Date.parse(config.created)));
  if (!dated)
    warnings.push(`creation date ${JSON.stringify(config.created)} of the image left out`);
  const list = (values: readonly string[]) => (values.length > 0 ? JSON.stringify(values) : '');
  return [
    { name: 'created', value: dated ? (config.created ?? '') : '' },
    { name: 'authors', value: config.author ?? '' },
    { name: 'appc.io/docker/entrypoint', value: list(inner.Entrypoint) },
    { name: 'appc.io/docker/cmd', value: list(inner.Cmd) },
    { name: 'appc.io/docker/user', value: inner.User },
    { name: 'appc.io/docker/stopsignal', value: inner.StopSignal },
  ].filter(({ value }) => value !== '');
}

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
