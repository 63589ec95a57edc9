import type { Dictionary } from './spec.ts';

/** Who calls: what it takes to ask whether they may. */
export interface Caller {
  /** Throws ServiceError `AccessDenied` when polkit says no. */
  authorize(action: string): Promise<void>;
}

/** An object of the API: its properties by interface, and what its methods do. */
export interface ApiObject {
  readonly path: string;
  /** Names of its interfaces. */
  readonly interfaces: readonly string[];
  properties(iface: string): Promise<Dictionary>;
  call(iface: string, method: string, args: Dictionary): Promise<Dictionary>;
}

/** All objects of the API. */
export interface ApiObjects {
  find(path: string): Promise<ApiObject | undefined>;
  /** Every object below the root. */
  all(): Promise<ApiObject[]>;
}

export const ROOT = '/io/rkt/Rkt1';

/** The path of an object below the root: what a path cannot hold becomes an underscore. */
export function objectPath(kind: 'pod' | 'image' | 'transfer', id: string): string {
  return `${ROOT}/${kind}/${id.replaceAll('-', '_')}`;
}
