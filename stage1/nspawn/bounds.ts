import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Isolator } from '../../src/appc/index.ts';
import { enterFolder } from '../../src/os/cgroup.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { POD_FILES } from '../../src/stage1/pod-files.ts';
import { isUnifiedCgroup, type Supervision } from '../../src/systemd/host.ts';
import { type Controllers, enforceableSettings, needControllers } from './controllers.ts';
import { checkPodIsolators, selinuxContext } from './enforceable.ts';
import { resourceLimits } from './limits.ts';
import type { AppService } from './service.ts';
import { type OwnNamespaces, sysctlCommands } from './sysctl.ts';
import { unitText } from './unit-text.ts';

/** What bounds all apps of a pod together, and what that takes. */
export interface PodBounds extends Controllers {
  /** Units of the pod: file name → text. */
  readonly units: ReadonlyMap<string, string>;
  /** In the pod's root: what its first process runs before systemd; undefined when nothing. */
  readonly setup: string | undefined;
  readonly selinux: string | undefined;
  /** Settings that apps which come later can have; none unless asked for. */
  readonly enforceable: readonly string[];
}

/** The program that `setup` is, in the pod. */
export const SETUP = '/rkt/setup';

/**
 * Plans what a pod's isolators and its apps' limits take. The apps are in the pod's system.slice, so
 * that what bounds that bounds them all.
 *
 * @throws Stage1Error `unsupported` for what cannot be enforced here
 */
export function planBounds(
  isolators: readonly Isolator[],
  apps: readonly AppService[],
  supervisor: Supervision,
  own: OwnNamespaces,
  mutable = false,
): PodBounds {
  checkPodIsolators(isolators);
  const limits = resourceLimits(isolators);
  const enforceable =
    mutable && (!own.users || isUnifiedCgroup()) ? enforceableSettings(supervisor) : [];
  const controllers = needControllers(
    [
      ...limits,
      ...apps.flatMap((app) => app.limits),
      ...enforceable.map((name) => [name, ''] as const),
    ],
    supervisor,
  );
  if (own.users && controllers.legacy.length > 0)
    throw new Stage1Error(
      'unsupported',
      'cannot enforce the limits of a pod with --private-users on this host: it takes version 2 of cgroups',
    );
  const commands = [
    // The container manager mounts them read-only, for containers that it trusts less than our PID 1.
    ...controllers.legacy.map(({ name }) => `mount -o remount,bind,rw /sys/fs/cgroup/${name}`),
    ...sysctlCommands(isolators, own),
  ];
  return {
    units: new Map(limits.length > 0 ? [['system.slice', unitText([['Slice', limits]])]] : []),
    setup:
      commands.length > 0 ? `#!/bin/sh\nset -e\n${commands.join('\n')}\nexec "$@"\n` : undefined,
    selinux: selinuxContext(isolators),
    enforceable,
    ...controllers,
  };
}

/** Writes the setup program into the pod's root. */
export function writeSetup(root: string, { setup }: PodBounds): void {
  if (setup === undefined) return;
  mkdirSync(join(root, 'rkt/proc'));
  writeFileSync(join(root, SETUP), setup, { mode: 0o755 });
}

/**
 * Without systemd on the host, once this process is in the pod's cgroup: gives that its controllers,
 * or moves on to cgroups in them, noted for gc.
 */
export function enterControllers(podFolder: string, uuid: string, bounds: PodBounds): void {
  const { legacy, handOn } = bounds;
  if (handOn) {
    const words = handOn.names.map((name) => `+${name}`).join(' ');
    writeFileSync(join(handOn.folder, 'cgroup.subtree_control'), words);
  }
  if (legacy.length === 0) return;
  const folders = legacy.map((hierarchy) => enterFolder(hierarchy, `rkt-${uuid}`));
  writeFileSync(join(podFolder, POD_FILES.controllers), `${folders.join('\n')}\n`, { mode: 0o640 });
}
