import type {
  App,
  AppRequest,
  ImageManifest,
  PodContext,
  PodRequest,
  ResolvedImage,
} from '../../../src/appc/index.ts';

export const key = `sha512-${'a'.repeat(64)}`;

/** The document of an image manifest, as its author would write it. */
export function imageDocument(fields: object = {}): Record<string, unknown> {
  return { acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.org/web', ...fields };
}

/** The same with an app section. */
export function appDocument(fields: object = {}): Record<string, unknown> {
  return imageDocument({ app: { exec: ['/srv/web'], user: '0', group: '0', ...fields } });
}

export function podDocument(fields: object = {}): Record<string, unknown> {
  return { acVersion: '0.8.11', acKind: 'PodManifest', ...fields };
}

export function app(fields: Partial<App> = {}): App {
  return {
    exec: ['/srv/web'],
    user: '0',
    group: '0',
    supplementaryGIDs: [],
    workingDirectory: '',
    environment: [],
    eventHandlers: [],
    mountPoints: [],
    ports: [],
    isolators: [],
    userAnnotations: {},
    userLabels: {},
    ...fields,
  };
}

export function image(appFields?: Partial<App>, name = 'example.org/web'): ResolvedImage {
  const manifest: ImageManifest = {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name,
    labels: [{ name: 'version', value: '1' }],
    app: app(appFields),
    annotations: [],
    dependencies: [],
    pathWhitelist: [],
  };
  return { key, manifest };
}

export function appRequest(fields: Partial<AppRequest> = {}): AppRequest {
  return { image: './web.aci', args: [], mounts: [], annotations: [], environment: [], ...fields };
}

export function podRequest(fields: Partial<PodRequest> = {}): PodRequest {
  return {
    apps: [appRequest()],
    volumes: [],
    mounts: [],
    ports: [],
    setEnv: [],
    setEnvFiles: [],
    inheritEnv: false,
    ...fields,
  };
}

export function podContext(fields: Partial<PodContext> = {}): PodContext {
  return {
    images: [image()],
    callerEnvironment: [],
    envFileEntries: [],
    uid: 1000,
    gid: 1001,
    mutable: false,
    ...fields,
  };
}
