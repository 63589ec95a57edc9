import type { PluginConfig } from './schema.ts';

export type { PluginConfig };

/** A network as its file defines it: a chain of plugins. */
export interface NetworkConfig {
  readonly name: string;
  /** The CNI version that the plugins are spoken to in. */
  readonly cniVersion: string;
  readonly plugins: readonly PluginConfig[];
  readonly disableCheck: boolean;
  readonly disableGc: boolean;
  /** Where it is defined, for messages; undefined for a built-in. */
  readonly file?: string;
}

export interface Address {
  /** In CIDR notation. */
  readonly cidr: string;
  readonly gateway?: string;
}

export interface NetworkDns {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
  readonly domain?: string;
}

/** What an ADD came to, whatever version of CNI it was said in. */
export interface AttachmentResult {
  readonly addresses: readonly Address[];
  readonly dns: NetworkDns;
}

/** A network that a pod has joined, or is about to: what it takes to check and to leave it. */
export interface Attachment {
  readonly network: NetworkConfig;
  readonly containerId: string;
  readonly interfaceName: string;
  /** The path of the pod's network namespace that the plugins were told, good while the pod runs. */
  readonly netns: string;
  /** CNI_ARGS as the user gave them. */
  readonly args: string;
  /** What plugins with a capability get as runtimeConfig, by capability. */
  readonly runtimeConfig: Readonly<Record<string, unknown>>;
  /** The last plugin's result, as it came; absent while ADD has not succeeded. */
  readonly result?: unknown;
}
