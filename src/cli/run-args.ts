import type { PodRequest } from '../appc/index.ts';

/** Where the apps come from: images of the command line, or a ready pod manifest. */
export type PodSource =
  | { readonly kind: 'images'; readonly request: PodRequest }
  | { readonly kind: 'manifest'; readonly path: string };

/** `--stage1-KIND VALUE`; without one, the configuration decides. */
export interface Stage1Choice {
  readonly kind: 'url' | 'path' | 'name' | 'hash' | 'from-dir';
  readonly value: string;
}

export type PullPolicy = 'new' | 'never' | 'update';

/** What `run` and `prepare` have in common: everything that a prepared pod is made from. */
export interface PrepareArguments {
  readonly source: PodSource;
  readonly stage1: Stage1Choice | undefined;
  readonly pullPolicy: PullPolicy;
  readonly noOverlay: boolean;
  readonly privateUsers: boolean;
}

/** A network to join; `args` goes to the plugins as CNI_ARGS. */
export interface NetworkChoice {
  readonly name: string;
  readonly args?: string;
}

/** The pod's resolv.conf: the host's, none at all, or one made from the flags. */
export type ResolverChoice =
  | { readonly kind: 'host' }
  | { readonly kind: 'none' }
  | {
      readonly kind: 'made';
      readonly nameservers: readonly string[];
      readonly search: readonly string[];
      readonly options: readonly string[];
      readonly domain?: string;
    };

/** The pod's hosts file: the host's, or one with these entries. */
export type HostsChoice =
  | { readonly kind: 'host' }
  | {
      readonly kind: 'made';
      readonly entries: readonly { readonly address: string; readonly names: readonly string[] }[];
    };

/** What `run` and `run-prepared` have in common: how a pod is started. */
export interface StartArguments {
  /** `none` and `host` stand alone; never empty. */
  readonly networks: readonly NetworkChoice[];
  /** Undefined: what the network or the image says. */
  readonly resolver: ResolverChoice | undefined;
  /** Undefined: what the image says. */
  readonly hosts: HostsChoice | undefined;
  /** Undefined: `rkt-UUID`. */
  readonly hostname: string | undefined;
  readonly ipc: 'auto' | 'private' | 'parent';
  readonly interactive: boolean;
  readonly detach: boolean;
  readonly mdsRegister: boolean;
}

export interface RunArguments extends PrepareArguments, StartArguments {
  /** Absolute path. */
  readonly uuidFileSave: string | undefined;
}
