/**
 * The App Container spec's documents, in the shape that the rest of the project works with.
 *
 * A value of one of these types is valid and normalised: every list is there (absent and `null`
 * become empty), defaults are filled in, and its JSON is the spec's JSON. This file has types only,
 * so importing it costs nothing at run time.
 */

/** A label, an annotation or an environment variable. */
export interface NameValue {
  name: string;
  value: string;
}

/** Amount of a resource as the spec writes it (`128Mi`, `500m`); read it with `parseQuantity`. */
export type QuantityText = string;

export interface ResourceIsolatorValue {
  request?: QuantityText;
  limit?: QuantityText;
  default?: boolean;
}

export interface CapabilitySet {
  set: string[];
}

export interface SeccompSet {
  set: string[];
  /** What a forbidden call fails with, for example `EPERM`. */
  errno?: string;
}

export interface SelinuxContext {
  user: string;
  role: string;
  type: string;
  level: string;
}

/** The isolators of the spec and their values (spec: ace.md, "Isolators"). */
export interface KnownIsolatorValues {
  'resource/cpu': ResourceIsolatorValue;
  'resource/memory': ResourceIsolatorValue;
  'resource/block-bandwidth': ResourceIsolatorValue;
  'resource/block-iops': ResourceIsolatorValue;
  'resource/network-bandwidth': ResourceIsolatorValue;
  'os/linux/capabilities-retain-set': CapabilitySet;
  'os/linux/capabilities-remove-set': CapabilitySet;
  'os/linux/seccomp-retain-set': SeccompSet;
  'os/linux/seccomp-remove-set': SeccompSet;
  'os/linux/no-new-privileges': boolean;
  'os/linux/oom-score-adj': number;
  'os/linux/cpu-shares': number;
  'os/linux/selinux-context': SelinuxContext;
  'os/linux/apparmor-profile': { name: string };
  'os/unix/sysctl': Record<string, string>;
  // Not in the spec:
  'os/linux/io-weight': number;
  'os/linux/tasks': number;
  /** By name (`nofile`), as `SOFT[:HARD]`. */
  'os/linux/rlimits': Record<string, string>;
}

export type KnownIsolatorName = keyof KnownIsolatorValues;

export interface KnownIsolator<Name extends KnownIsolatorName = KnownIsolatorName> {
  name: Name;
  value: KnownIsolatorValues[Name];
}

/** An isolator that the spec does not define: kept as it is, enforced by nobody. */
export interface OtherIsolator {
  name: string;
  value: unknown;
}

/** Read one with `isolatorValue(list, name)`, which gives the value its type. */
export type Isolator = KnownIsolator | OtherIsolator;

export interface Dependency {
  imageName: string;
  /** Image key: `sha512-` and 64 hex digits. */
  imageID?: string;
  labels: NameValue[];
  /** Bytes, informational. */
  size?: number;
}

export interface MountPoint {
  name: string;
  path: string;
  readOnly: boolean;
}

export interface Port {
  name: string;
  protocol: string;
  port: number;
  count: number;
  socketActivated: boolean;
}

export interface EventHandler {
  name: 'pre-start' | 'post-stop';
  exec: string[];
}

export interface App {
  exec: string[];
  user: string;
  group: string;
  supplementaryGIDs: number[];
  /** Absolute, or empty for `/`. */
  workingDirectory: string;
  environment: NameValue[];
  eventHandlers: EventHandler[];
  mountPoints: MountPoint[];
  ports: Port[];
  isolators: Isolator[];
  userAnnotations: Record<string, string>;
  userLabels: Record<string, string>;
}

export interface ImageManifest {
  acKind: 'ImageManifest';
  acVersion: string;
  name: string;
  labels: NameValue[];
  app?: App;
  annotations: NameValue[];
  dependencies: Dependency[];
  pathWhitelist: string[];
}

export interface HostVolume {
  name: string;
  kind: 'host';
  source: string;
  /** Absent: the image's mount point decides. */
  readOnly?: boolean;
  /** Absent: the stage1 flavour decides. */
  recursive?: boolean;
}

export interface EmptyVolume {
  name: string;
  kind: 'empty';
  readOnly?: boolean;
  /** Octal, for example `0755`. */
  mode: string;
  uid: number;
  gid: number;
}

/** In memory, gone with the pod. An addition to the spec. */
export interface TmpfsVolume {
  name: string;
  kind: 'tmpfs';
  readOnly?: boolean;
  /** Octal, for example `1777`. */
  mode: string;
  uid: number;
  gid: number;
  /** Bytes at most; absent: half of the machine's memory, as tmpfs(5) has it. */
  size?: QuantityText;
}

export type Volume = HostVolume | EmptyVolume | TmpfsVolume;

export interface Mount {
  volume: string;
  path: string;
  /** A volume of this app alone, instead of the pod's volume of that name. */
  appVolume?: Volume;
}

export interface ExposedPort {
  name: string;
  hostPort: number;
  /** IPv4 or IPv6 address; absent for all. */
  hostIP?: string;
  /** Maps straight to this port, without an app's port of that name. */
  podPort?: Port;
}

export interface RuntimeImage {
  name?: string;
  /** Image key: `sha512-` and 64 hex digits. */
  id: string;
  labels: NameValue[];
}

export interface RuntimeApp {
  name: string;
  image: RuntimeImage;
  /** Absent: the image's app section. */
  app?: App;
  readOnlyRootFS: boolean;
  mounts: Mount[];
  annotations: NameValue[];
}

export interface PodManifest {
  acVersion: string;
  acKind: 'PodManifest';
  apps: RuntimeApp[];
  volumes: Volume[];
  isolators: Isolator[];
  annotations: NameValue[];
  ports: ExposedPort[];
  userAnnotations: Record<string, string>;
  userLabels: Record<string, string>;
}
