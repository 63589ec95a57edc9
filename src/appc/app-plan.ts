/** One image and its flags become one app of the pod manifest. */
import { posix } from 'node:path';
import { mergeEnvironments } from './environment.ts';
import { AppcError } from './error.ts';
import { capabilityIsolators, isolatorValue, seccompIsolators } from './isolators.ts';
import { isACName, isEnvironmentName, sanitizeACName } from './names.ts';
import type { AppRequest, PodContext, PodRequest, ResolvedImage } from './pod-request.ts';
import type {
  App,
  Isolator,
  KnownIsolatorName,
  KnownIsolatorValues,
  Mount,
  NameValue,
  ResourceIsolatorValue,
  RuntimeApp,
} from './types.ts';

/** What of the pod's request and its surroundings concerns every app. */
export type PodWide = Pick<PodRequest, 'mounts' | 'setEnv' | 'inheritEnv'> &
  Pick<PodContext, 'callerEnvironment' | 'envFileEntries' | 'uid' | 'gid'>;

/**
 * The app as its image describes it, changed by the flags.
 *
 * @throws AppcError when there is nothing to run, or the flags contradict each other
 */
export function runtimeApp(
  request: AppRequest,
  { key, manifest }: ResolvedImage,
  pod: PodWide,
): RuntimeApp & { app: App } {
  const image = appSection(request, { key, manifest }, pod);
  const exec = [...(request.exec === undefined ? image.exec : [request.exec]), ...request.args];
  if (exec.length === 0) throw emptyExec(manifest.name);
  return {
    name: appName(request, manifest.name),
    image: { name: manifest.name, id: key, labels: manifest.labels },
    app: {
      ...image,
      exec,
      user: request.user ?? image.user,
      group: request.group ?? image.group,
      supplementaryGIDs: request.supplementaryGids ?? image.supplementaryGIDs,
      workingDirectory: workingDirectory(request.workingDirectory ?? image.workingDirectory),
      environment: mergeEnvironments(
        pod.inheritEnv ? pod.callerEnvironment.filter(({ name }) => isEnvironmentName(name)) : [],
        image.environment,
        pod.envFileEntries,
        pod.setEnv,
        request.environment,
      ),
      isolators: overrideIsolators(image.isolators, request),
      userAnnotations: request.userAnnotations ?? image.userAnnotations,
      userLabels: request.userLabels ?? image.userLabels,
    },
    readOnlyRootFS: request.readonlyRootfs ?? false,
    mounts: mergeMounts(request.mounts, pod.mounts),
    annotations: [
      ...request.annotations,
      ...annotationOf('coreos.com/rkt/stage2/restart', request.restart),
      ...streamAnnotations(request),
    ],
  };
}

/** The error for an app that has nothing to run. */
export function emptyExec(image: string | undefined): AppcError {
  return new AppcError(
    'not-found',
    `image "${image ?? ''}" has an empty "exec" (try --exec=BINARY)`,
  );
}

function appSection(request: AppRequest, image: ResolvedImage, pod: PodWide): App {
  if (image.manifest.app !== undefined) return image.manifest.app;
  if (request.exec === undefined)
    throw new AppcError(
      'not-found',
      `image ${image.key} has no app section and --exec argument is not provided`,
    );
  return {
    exec: [],
    user: String(pod.uid),
    group: String(pod.gid),
    supplementaryGIDs: [],
    workingDirectory: '',
    environment: [],
    eventHandlers: [],
    mountPoints: [],
    ports: [],
    isolators: [],
    userAnnotations: {},
    userLabels: {},
  };
}

/** The name asked for, or the last element of the image's name. */
function appName(request: AppRequest, imageName: string): string {
  if (request.name === undefined) return sanitizeACName(posix.basename(imageName));
  if (isACName(request.name)) return request.name;
  throw new AppcError(
    'schema',
    `app name "${request.name}" is not an AC name: lower-case letters, digits and single inner "-" only`,
  );
}

function workingDirectory(path: string): string {
  if (path === '' || path.startsWith('/')) return path;
  throw new AppcError('schema', `working directory "${path}" must be an absolute path`);
}

/** The app's own mounts before the pod's; of several at one path the first counts. */
function mergeMounts(own: readonly Mount[], podWide: readonly Mount[]): Mount[] {
  const byPath = new Map<string, Mount>();
  for (const mount of [...own, ...podWide]) {
    const path = posix.join('/', mount.path, '/');
    if (!byPath.has(path)) byPath.set(path, mount);
  }
  return [...byPath.values()];
}

/** Memory and CPU are added (the last counts), the others replace what the image has. */
function overrideIsolators(image: readonly Isolator[], request: AppRequest): Isolator[] {
  const { memory, cpu, cpuShares, oomScoreAdj, capsRetain, capsRemove, seccomp } = request;
  const { ioWeight, tasks, ulimits } = request;
  if (capsRetain !== undefined && capsRemove !== undefined)
    throw new AppcError(
      'conflict',
      `image ${request.image}: --caps-retain and --caps-remove are mutually exclusive`,
    );
  const added: Isolator[] = [];
  const replaced = new Set<string>();
  const add = <Name extends KnownIsolatorName>(
    name: Name,
    value: KnownIsolatorValues[Name] | undefined,
    replaces: readonly string[],
  ) => {
    if (value === undefined) return;
    added.push({ name, value });
    for (const old of replaces) replaced.add(old);
  };
  add('resource/memory', bothWays(memory), []);
  add('resource/cpu', bothWays(cpu), []);
  add('os/linux/cpu-shares', cpuShares, ['os/linux/cpu-shares']);
  add('os/linux/oom-score-adj', oomScoreAdj, ['os/linux/oom-score-adj']);
  add('os/linux/io-weight', ioWeight, ['os/linux/io-weight']);
  add('os/linux/tasks', tasks, ['os/linux/tasks']);
  const rlimits = ulimits && { ...isolatorValue(image, 'os/linux/rlimits'), ...ulimits };
  add('os/linux/rlimits', rlimits, ['os/linux/rlimits']);
  add('os/linux/capabilities-retain-set', capsRetain && { set: capsRetain }, capabilityIsolators);
  add('os/linux/capabilities-remove-set', capsRemove && { set: capsRemove }, capabilityIsolators);
  if (seccomp !== undefined) {
    const { mode, ...value } = seccomp;
    add(`os/linux/seccomp-${mode}-set`, value, seccompIsolators);
  }
  return [...image.filter(({ name }) => !replaced.has(name)), ...added];
}

function bothWays(amount: string | undefined): ResourceIsolatorValue | undefined {
  return amount === undefined ? undefined : { request: amount, limit: amount };
}

/** `--stdin`, `--stdout` and `--stderr` travel as annotations of the app. */
function streamAnnotations(request: AppRequest): NameValue[] {
  return (['stdin', 'stdout', 'stderr'] as const).flatMap((stream) =>
    annotationOf(`coreos.com/rkt/stage2/${stream}`, request[stream]),
  );
}

function annotationOf(name: string, value: string | undefined): NameValue[] {
  return value === undefined ? [] : [{ name, value }];
}
