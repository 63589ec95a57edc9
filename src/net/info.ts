import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addressOf } from './firewall.ts';
import { findPlugin } from './plugin.ts';
import type { Attachment, AttachmentResult } from './types.ts';

/** An entry of net-info.json: what `list` and `status` tell of a network (surface 1.6). */
export interface NetworkInfo {
  readonly netName: string;
  /** Path of the network's record in the pod's folder. */
  readonly netConf: string;
  readonly pluginPath: string;
  readonly ifName: string;
  readonly ip?: string;
  readonly ip6?: string;
  readonly args: string;
  /** The IPv4 network mask, in dotted form. */
  readonly mask?: string;
}

/** Writes the net-info.json of a pod: an entry for each network, in their order. */
export function writeNetworkInfo(
  podFolder: string,
  members: readonly { readonly attachment: Attachment; readonly result: AttachmentResult }[],
  pluginFolders: readonly string[],
): void {
  const info = members.map(({ attachment, result }, index): NetworkInfo => {
    const cidrs = result.addresses.map(({ cidr }) => cidr);
    const ip4 = cidrs.find((cidr) => !cidr.includes(':'));
    const ip6 = cidrs.find((cidr) => cidr.includes(':'));
    return {
      netName: attachment.network.name,
      netConf: join('net', `${String(index).padStart(2, '0')}.conf`),
      pluginPath: findPlugin(attachment.network.plugins[0]?.type ?? '', pluginFolders),
      ifName: attachment.interfaceName,
      ...(ip4 ? { ip: addressOf(ip4), mask: dottedMask(ip4) } : {}),
      ...(ip6 ? { ip6: addressOf(ip6) } : {}),
      args: attachment.args,
    };
  });
  writeFileSync(join(podFolder, 'net-info.json'), JSON.stringify(info));
}

function dottedMask(cidr: string): string {
  const bits = Number(cidr.split('/')[1]);
  return [0, 8, 16, 24].map((at) => 256 - 2 ** (8 - Math.max(0, Math.min(8, bits - at)))).join('.');
}
