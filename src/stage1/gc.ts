import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { leaveNetworks } from '../net/leave.ts';
import { PLUGIN_DEADLINE, PLUGIN_FOLDERS } from '../net/plugin.ts';
import { removeCgroup, removeTree } from '../os/cgroup.ts';
import { readIfExists } from '../os/files.ts';
import { POD_FILES } from './pod-files.ts';

/**
 * The entry point `gc` of our own flavours: removes what the pod has outside its folder, as often
 * as it is called. A cgroup that is not the pod's own alone is systemd's to remove.
 */
export function gc(podFolder: string): void {
  leaveNetworks(
    podFolder,
    basename(podFolder),
    { folders: PLUGIN_FOLDERS, deadline: PLUGIN_DEADLINE },
    (message) => process.stderr.write(`stage1: ${message}\n`),
  );
  const cgroup = readIfExists(join(podFolder, POD_FILES.subcgroup))?.trim();
  // systemd-nspawn leaves these behind when it is killed; the second since version 256.
  for (const folder of ['propagate', 'unix-export'])
    rmSync(join('/run/systemd/nspawn', folder, `rkt-${basename(podFolder)}`), {
      recursive: true,
      force: true,
    });
  const own = (path: string) => basename(path) === `rkt-${basename(podFolder)}`;
  if (cgroup && own(cgroup)) removeCgroup(cgroup);
  const controllers = readIfExists(join(podFolder, POD_FILES.controllers))?.split('\n') ?? [];
  for (const folder of controllers) if (own(folder)) removeTree(folder);
}
