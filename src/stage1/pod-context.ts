import type { RunArguments } from './contract.ts';

/** The pod that a stage1 is called for. */
export interface Stage1Pod {
  readonly uuid: string;
  /** Absolute path of the pod's folder, which is also the current folder. */
  readonly folder: string;
  /** The descriptor that holds the pod's lock; it must stay open as long as the pod lives. */
  readonly lockFd: number;
  /** A command that leaves the pod's networks once it has ended; its current folder is the pod's. */
  readonly leaveNetworks: readonly string[];
  readonly warn: (message: string) => void;
  /**
   * Mounts an app's root where it was before, for a user namespace (src/os/idmap.ts); absent where the
   * caller does not know how the roots are made.
   */
  readonly mountMappedApp?: (app: string, ids: number) => void;
}

/**
 * A stage1 image of our own, called in this process instead of through its entry points, which
 * saves a start of Node. What it does is what the entry points do.
 */
export interface Stage1 {
  /** Turns this process into the pod. Comes back only by throwing. */
  run(pod: Stage1Pod, run: RunArguments): Promise<never>;
}
