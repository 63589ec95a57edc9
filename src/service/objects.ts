import type { Dictionary } from './spec.ts';

/** Who calls: what it takes to ask whether they may. */
export interface Caller {
  /**
   * Throws ServiceError `AccessDenied`, or `InteractiveAuthorizationRequired`, when they may not.
   *
   * @param group members of group rkt may, if they call by Varlink
   */
  authorize(action: string, group?: boolean): Promise<void>;
}

/** An object of the API: its properties, and what its methods do. */
export interface ApiObject {
  readonly path: string;
  /** The name of its interface, beside the standard ones. */
  readonly interface: string;
  properties(): Dictionary;
  call(method: string, args: Dictionary, caller: Caller): Promise<Dictionary>;
}

/** All objects of the API. */
export interface ApiObjects {
  find(path: string): ApiObject | undefined;
  /** Every object below the root. */
  all(): ApiObject[];
}

/** The path of the manager, below which all other objects are. */
export const ROOT = '/io/rkt/Rkt1';
/** The polkit action for looking at what belongs to others. */
export const INSPECT = 'io.rkt.Rkt1.inspect';

/** The path of an object below the root: what a path cannot hold becomes an underscore. */
export function objectPath(kind: 'pod' | 'image' | 'transfer', id: string): string {
  return `${ROOT}/${kind}/${id.replaceAll('-', '_')}`;
}
