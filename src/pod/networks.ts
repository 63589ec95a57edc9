import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PodError } from './error.ts';
import { groupFolder } from './layout.ts';
import type { Pod } from './pods.ts';

/** Has the plugins of networks that know it collect what no pod has any more. */
export async function collectPodNetworks(
  { dataDir, localConfig }: { readonly dataDir: string; readonly localConfig: string },
  report: (error: unknown) => void,
): Promise<void> {
  const folder = join(localConfig, 'net.d');
  const pods = groupFolder(dataDir, 'run');
  if (!existsSync(folder) || !existsSync(pods)) return;
  const { collectNetworks } = await import('../net/collect.ts');
  collectNetworks(pods, folder, await pluginOptions(), report);
}

/**
 * Has the plugins check that a running pod is in its networks as it was when it joined (the operation
 * CHECK of CNI).
 *
 * @throws NetError with what a plugin has found; PodError `wrong-state`
 */
export async function checkPodNetworks(pod: Pod): Promise<void> {
  if (pod.state !== 'running')
    throw new PodError('wrong-state', `cannot check networks: pod "${pod.uuid}" does not run`);
  const { checkNetwork } = await import('../net/chain.ts');
  const { savedAttachments } = await import('../net/state.ts');
  for (const { attachment } of savedAttachments(pod.folder))
    checkNetwork(attachment, await pluginOptions());
}

async function pluginOptions() {
  const { PLUGIN_DEADLINE, PLUGIN_FOLDERS } = await import('../net/plugin.ts');
  return { folders: PLUGIN_FOLDERS, deadline: PLUGIN_DEADLINE };
}
