import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../os/error.ts';
import { POD_FILES, readAppImageManifest, readPodManifest } from '../stage1/pod-files.ts';
import type { Pod } from './pods.ts';

/** In a pod's folder: the metadata service knows the pod. */
const REGISTERED = 'mds-registered';

/** Registers a pod with the metadata service, and gives its token. */
export async function registerPod(pod: Pod): Promise<string> {
  const client = await import('../metadata/client.ts');
  const manifest = readPodManifest(pod.folder);
  const mark = join(pod.folder, REGISTERED);
  writeFileSync(mark, '');
  let token: string;
  try {
    token = await client.registerPod(pod.uuid, manifest);
  } catch (error) {
    // Where nobody listens nobody knows the pod.
    if (error instanceof Error && NOBODY.includes(errnoOf(error.cause) ?? '')) rmSync(mark);
    throw error;
  }
  for (const { name } of manifest.apps)
    await client.registerApp(pod.uuid, name, readAppImageManifest(pod.folder, name));
  return token;
}

/** Why no connection to the metadata service was made. */
const NOBODY = ['ENOENT', 'ECONNREFUSED'];

/**
 * Takes the firewall's rules of a pod that has ended away, where they do not go with it: whoever has
 * stopped it may use its ports at once.
 */
export async function endRules(pod: Pod): Promise<void> {
  if (!existsSync(join(pod.folder, POD_FILES.networks))) return;
  const { removeIptablesRules } = await import('../net/iptables.ts');
  removeIptablesRules(pod.folder, pod.uuid);
}

/**
 * Ends what a pod that has ended still has elsewhere: its addresses, and its name at the metadata
 * service. As often as it is called.
 *
 * @param localConfig the folder of the configuration that defines networks
 * @param warn told of what could not be ended, which stays on record for the next time
 */
export async function leavePod(
  pod: Pod,
  localConfig: string,
  warn: (message: string) => void,
): Promise<void> {
  if (existsSync(join(pod.folder, POD_FILES.networks))) {
    const { leaveLostNetworks, leaveNetworks } = await import('../net/leave.ts');
    const { PLUGIN_DEADLINE, PLUGIN_FOLDERS } = await import('../net/plugin.ts');
    const plugins = { folders: PLUGIN_FOLDERS, deadline: PLUGIN_DEADLINE };
    leaveNetworks(pod.folder, pod.uuid, plugins, warn);
    leaveLostNetworks(pod.folder, pod.uuid, join(localConfig, 'net.d'), plugins, warn);
  }
  if (existsSync(join(pod.folder, REGISTERED))) {
    const { unregisterPod } = await import('../metadata/client.ts');
    try {
      await unregisterPod(pod.uuid);
      rmSync(join(pod.folder, REGISTERED));
    } catch (error) {
      warn(error instanceof Error ? error.message : String(error));
    }
  }
}
