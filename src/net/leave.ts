import { deleteFromNetwork, inKnownVersion } from './chain.ts';
import { readNetworks } from './config.ts';
import { removeIptablesRules } from './iptables.ts';
import { closeLoopback } from './loopback.ts';
import type { PluginOptions } from './plugin.ts';
import { forgetAttachment, lostAttachments, savedAttachments } from './state.ts';

/**
 * Leaves what a pod that has ended may have joined by interfaces whose records are lost: DEL in every
 * network that is defined. It does nothing where the pod never was (CNI specification, "DEL"), and frees
 * its lease where it was. When a network cannot be left now, the interface is kept on record for the next
 * time; the pod is collected all the same.
 *
 * @param configFolder the folder net.d of the configuration
 * @param warn told of each network that could not be left
 */
export function leaveLostNetworks(
  podFolder: string,
  uuid: string,
  configFolder: string,
  plugins: PluginOptions,
  warn: (message: string) => void,
): void {
  for (const { file, interfaceName } of lostAttachments(podFolder)) {
    const { networks } = readNetworks(configFolder, warn);
    const left = networks.map(({ network }) =>
      attempt(warn, () =>
        deleteFromNetwork(
          {
            network: inKnownVersion(network, plugins),
            containerId: uuid,
            interfaceName,
            netns: '',
            args: '',
            runtimeConfig: {},
          },
          undefined,
          plugins,
        ),
      ),
    );
    if (left.every(Boolean)) forgetAttachment(podFolder, file);
  }
}

/**
 * Leaves the networks of a pod that has ended, in reverse: its leases are given back. Doing it twice
 * does no harm. A network that cannot be left now is kept on record for the next time.
 *
 * @param warn told of each network that could not be left
 */
export function leaveNetworks(
  podFolder: string,
  uuid: string,
  plugins: PluginOptions,
  warn: (message: string) => void,
): void {
  // First of all, since it is what others notice.
  removeIptablesRules(podFolder, uuid);
  const attachments = savedAttachments(podFolder);
  for (const { file, attachment } of attachments.toReversed())
    attempt(warn, () => {
      // The namespace has gone with the pod, and its path may be another process's by now.
      deleteFromNetwork(attachment, undefined, plugins);
      forgetAttachment(podFolder, file);
    });
  closeLoopback(podFolder);
}

/** Whether it went well. */
function attempt(warn: (message: string) => void, action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
    return false;
  }
}
