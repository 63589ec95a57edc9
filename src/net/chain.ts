import * as z from 'zod/mini';
import { NetError } from './error.ts';
import { type CniCommand, callPlugin, type PluginOptions } from './plugin.ts';
import type { Attachment, NetworkConfig, PluginConfig } from './types.ts';

/**
 * Joins a network: ADD of each plugin, each with the result of the one before. When one fails, DEL of
 * the whole chain undoes what was done (CNI specification, section 3).
 *
 * @returns the last plugin's result
 */
export function addToNetwork(attachment: Attachment, options: PluginOptions): unknown {
  const { netns } = attachment;
  let result: unknown;
  try {
    for (const plugin of attachment.network.plugins) {
      const said = call('ADD', attachment, plugin, netns, result, options);
      if (said !== undefined) result = said;
    }
    return result;
  } catch (error) {
    leaveAfterFailure(attachment, options);
    throw named(attachment.network, error);
  }
}

/**
 * Leaves a network: DEL of each plugin, in reverse. Every plugin has its turn, whatever the others do.
 *
 * @throws the first failure
 */
export function deleteFromNetwork(
  attachment: Attachment,
  netns: string | undefined,
  options: PluginOptions,
): void {
  let failed: unknown;
  for (const plugin of attachment.network.plugins.toReversed())
    try {
      call('DEL', attachment, plugin, netns, attachment.result, options);
    } catch (error) {
      failed ??= error;
    }
  if (failed !== undefined) throw named(attachment.network, failed);
}

/** CHECK of each plugin: throws when the pod's place in the network is no longer as ADD left it. */
export function checkNetwork(attachment: Attachment, options: PluginOptions): void {
  const { network, netns } = attachment;
  if (network.disableCheck || olderThan(network.cniVersion, 0, 4)) return;
  try {
    for (const plugin of network.plugins)
      call('CHECK', attachment, plugin, netns, attachment.result, options);
  } catch (error) {
    throw named(network, error);
  }
}

/** Whether the operation GC is to be called for the network. */
export function hasCollection(network: NetworkConfig): boolean {
  return !network.disableGc && !olderThan(network.cniVersion, 1, 1);
}

/** GC: tells the plugins which attachments there are, so that they drop all others (CNI 1.1.0). */
export function collectNetwork(
  network: NetworkConfig,
  valid: readonly { readonly containerID: string; readonly ifname: string }[],
  options: PluginOptions,
): void {
  if (!hasCollection(network)) return;
  for (const plugin of network.plugins)
    callPlugin(
      plugin.type,
      'GC',
      {},
      {
        ...plugin,
        name: network.name,
        cniVersion: network.cniVersion,
        'cni.dev/valid-attachments': valid,
      },
      options,
    );
}

const versions = z.object({ supportedVersions: z.array(z.string()) });

/**
 * The network in a version that all its plugins speak. Plugins of today do not know CNI 1.1.0, so
 * that a newer one is asked for; older ones every plugin knows.
 */
export function inKnownVersion(network: NetworkConfig, options: PluginOptions): NetworkConfig {
  if (olderThan(network.cniVersion, 1, 1)) return network;
  const spoken = network.plugins.map(({ type }) => {
    const answer = callPlugin(type, 'VERSION', {}, { cniVersion: network.cniVersion }, options);
    const parsed = z.safeParse(versions, answer);
    return parsed.success ? parsed.data.supportedVersions : [];
  });
  const common = [network.cniVersion, '1.0.0', '0.4.0', '0.3.1'].find((version) =>
    spoken.every((list) => list.includes(version)),
  );
  return common ? { ...network, cniVersion: common } : network;
}

function call(
  command: CniCommand,
  attachment: Attachment,
  plugin: PluginConfig,
  netns: string | undefined,
  prevResult: unknown,
  options: PluginOptions,
): unknown {
  const { network, containerId, interfaceName, args } = attachment;
  const runtimeConfig = runtimeConfigFor(plugin, attachment.runtimeConfig);
  const chained = prevResult !== undefined && !olderThan(network.cniVersion, 0, 3);
  return callPlugin(
    plugin.type,
    command,
    // A plugin refuses arguments that it does not know, and a chain has plugins of all kinds.
    {
      containerId,
      netns: netns ?? '',
      interfaceName,
      args: ['IgnoreUnknown=1', args].filter(Boolean).join(';'),
    },
    {
      ...plugin,
      name: network.name,
      cniVersion: network.cniVersion,
      ...(runtimeConfig ? { runtimeConfig } : {}),
      ...(chained ? { prevResult } : {}),
    },
    options,
  );
}

/** What a plugin asks for by its capabilities. */
function runtimeConfigFor(
  plugin: PluginConfig,
  known: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  const entries = Object.entries(known).filter(([name]) => plugin.capabilities?.[name]);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function leaveAfterFailure(attachment: Attachment, options: PluginOptions): void {
  try {
    deleteFromNetwork(attachment, attachment.netns, options);
  } catch {
    // What made ADD fail tends to make DEL fail; the first failure is the one to tell.
  }
}

function named(network: NetworkConfig, error: unknown): unknown {
  if (!(error instanceof NetError)) return error;
  return new NetError(error.code, `network "${network.name}": ${error.message}`, error);
}

function olderThan(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a < major || (a === major && b < minor);
}
