import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { lockFile } from '../os/lock.ts';
import { collectNetwork, hasCollection, inKnownVersion } from './chain.ts';
import { readNetworks } from './config.ts';
import type { PluginOptions } from './plugin.ts';
import { savedAttachments } from './state.ts';

/** Held, shared, by who joins networks, and exclusively by who collects. */
const LOCK = 'networks';

/**
 * Keeps GC away while a network is joined: it would take an attachment for nobody's whose record it has
 * not seen yet.
 *
 * @param pods the folder of the running pods
 */
export function whileNotCollected<Result>(pods: string, action: () => Result): Result {
  return locked(pods, 'shared', action);
}

/**
 * Has the plugins of each network of CNI 1.1.0 drop what no pod has on record any more (the operation
 * GC): what a pod that vanished with its folder has left.
 *
 * @param pods the folder of the running pods
 * @param configFolder the folder net.d of the configuration
 * @param report told of each network that could not be collected
 */
export function collectNetworks(
  pods: string,
  configFolder: string,
  plugins: PluginOptions,
  report: (error: unknown) => void,
): void {
  const { networks } = readNetworks(configFolder, () => {});
  for (const { network } of networks.filter((known) => hasCollection(known.network)))
    try {
      const known = inKnownVersion(network, plugins);
      if (hasCollection(known))
        locked(pods, 'exclusive', () =>
          collectNetwork(known, validAttachments(pods, network.name), plugins),
        );
    } catch (error) {
      report(error);
    }
}

/** The key `cni.dev/valid-attachments` (CNI specification, "GC"). */
function validAttachments(pods: string, network: string) {
  return readdirSync(pods)
    .flatMap((uuid) => savedAttachments(join(pods, uuid)))
    .filter(({ attachment }) => attachment.network.name === network)
    .map(({ attachment: { containerId, interfaceName } }) => ({
      containerID: containerId,
      ifname: interfaceName,
    }));
}

function locked<Result>(pods: string, kind: 'shared' | 'exclusive', action: () => Result): Result {
  const lock = lockFile(join(pods, '..', '..', 'locks', LOCK), kind);
  try {
    return action();
  } finally {
    lock.release();
  }
}
