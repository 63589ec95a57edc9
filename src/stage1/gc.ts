import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { removeCgroup } from '../os/cgroup.ts';
import { readIfExists } from '../os/files.ts';
import { POD_FILES } from './pod-files.ts';

/**
 * The entry point `gc` of our own flavours: removes what the pod has outside its folder, as often
 * as it is called. A cgroup that is not the pod's own alone is systemd's to remove.
 */
export function gc(podFolder: string): void {
  const cgroup = readIfExists(join(podFolder, POD_FILES.subcgroup))?.trim();
  // systemd-nspawn leaves it behind when it is killed.
  rmSync(join('/run/systemd/nspawn/propagate', `rkt-${basename(podFolder)}`), {
    recursive: true,
    force: true,
  });
  if (cgroup && basename(cgroup) === `rkt-${basename(podFolder)}`) removeCgroup(cgroup);
}
