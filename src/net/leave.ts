import { deleteFromNetwork } from './chain.ts';
import { removeIptablesRules } from './iptables.ts';
import { closeLoopback } from './loopback.ts';
import type { PluginOptions } from './plugin.ts';
import { forgetAttachment, savedAttachments } from './state.ts';

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
    try {
      // The namespace has gone with the pod, and its path may be another process's by now.
      deleteFromNetwork(attachment, undefined, plugins);
      forgetAttachment(podFolder, file);
    } catch (error) {
      warn(error instanceof Error ? error.message : String(error));
    }
  closeLoopback(podFolder);
}
