import type { ExposedPort, ImageManifest, Mount, NameValue, SeccompSet, Volume } from './types.ts';

/** `--seccomp` of one app: replaces the image's filter. */
export interface SeccompRequest extends SeccompSet {
  mode: 'retain' | 'remove';
}

/** One image of the command line and the flags that follow it. Absent means: as the image says. */
export interface AppRequest {
  /** The image reference as typed. */
  image: string;
  /** Path of a detached signature. */
  signature?: string;
  /** Replaces the whole exec vector with one element. */
  exec?: string;
  /** What stood between `--` and `---`: appended to the exec vector. */
  args: string[];
  workingDirectory?: string;
  readonlyRootfs?: boolean;
  mounts: Mount[];
  user?: string;
  group?: string;
  supplementaryGids?: number[];
  name?: string;
  annotations: NameValue[];
  /** Replaces the image's map. */
  userAnnotations?: Record<string, string>;
  /** Replaces the image's map. */
  userLabels?: Record<string, string>;
  environment: NameValue[];
  /** Quantity in bytes (`parseMemoryFlag`). */
  memory?: string;
  /** Quantity in cores (`parseCpuFlag`). */
  cpu?: string;
  cpuShares?: number;
  capsRetain?: string[];
  capsRemove?: string[];
  seccomp?: SeccompRequest;
  oomScoreAdj?: number;
  ioWeight?: number;
  tasks?: number;
  /** By name (`nofile`), as `SOFT[:HARD]` (`parseUlimitFlag`). */
  ulimits?: Record<string, string>;
  /** `no`, `on-failure` or `always`. */
  restart?: string;
  stdin?: string;
  stdout?: string;
  stderr?: string;
}

/** The part of a `run` or `prepare` command line that ends up in the pod manifest. */
export interface PodRequest {
  apps: AppRequest[];
  volumes: Volume[];
  /** `--mount` before the first image: for every app. */
  mounts: Mount[];
  ports: ExposedPort[];
  setEnv: NameValue[];
  /** Paths of `--set-env-file`, in order. */
  setEnvFiles: string[];
  inheritEnv: boolean;
}

/** A stored image that an `AppRequest` was resolved to. */
export interface ResolvedImage {
  /** Image key. */
  key: string;
  manifest: ImageManifest;
}

/** What `podManifest` needs from outside: it reads no file, no environment and no store itself. */
export interface PodContext {
  /** One for each of `request.apps`, in the same order. */
  images: ResolvedImage[];
  /** The caller's environment; used only with `inheritEnv`. */
  callerEnvironment: NameValue[];
  /** The entries of all `setEnvFiles` (`parseEnvFiles`). */
  envFileEntries: NameValue[];
  /** The caller's numeric ids, for an image without an app section that is run with `--exec`. */
  uid: number;
  gid: number;
  /** Whether apps may come and go while the pod runs (`app sandbox`). */
  mutable: boolean;
}
