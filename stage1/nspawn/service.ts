import type { NameValue, SeccompFilter } from '../../src/appc/index.ts';
import type { Lifecycle } from '../../src/stage1/lifecycle.ts';
import type { AppProcess } from '../../src/stage1/process.ts';

/** What an app's service is made from. Paths in `binds` are the pod's at the left, the app's at the right. */
export interface AppService {
  readonly process: AppProcess;
  /** Absolute path of the app's root inside the pod. */
  readonly root: string;
  readonly environment: readonly NameValue[];
  readonly preStart: readonly string[] | undefined;
  readonly postStop: readonly string[] | undefined;
  readonly binds: readonly Bind[];
  /** Folders that are empty at the start and not the image's. */
  readonly temporary: readonly { readonly path: string; readonly readOnly: boolean }[];
  readonly inaccessiblePaths: readonly string[];
  readonly readOnlyRoot: boolean;
  /** Undefined: all of them. */
  readonly capabilities: readonly string[] | undefined;
  readonly seccomp: SeccompFilter | undefined;
  /** On amd64: the filter is for programs of 32-bit x86 too. */
  readonly narrowPrograms: boolean;
  readonly noNewPrivileges: boolean;
  readonly limits: readonly (readonly [string, string])[];
  readonly lifecycle: Lifecycle;
  /** Units of the pod that hand it sockets which are open already. */
  readonly sockets?: readonly string[];
  /** Names of credentials that the pod was given. */
  readonly credentials?: readonly string[];
  readonly stdin: Stream;
  readonly stdout: Stream;
  readonly stderr: Stream;
}

/** A mount of the pod's in an app's root; `alone` leaves out what is mounted below the source. */
export interface Bind {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly alone?: boolean;
  /** Left out when the pod does not have the source. */
  readonly optional?: boolean;
}

/** Where a stream of an app goes: nowhere, the pod's own terminal, a file or a terminal in the pod. */
export type Stream = 'null' | 'tty' | { readonly file: string } | { readonly terminal: string };
