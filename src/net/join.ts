import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ForwardedPort } from '../appc/ports.ts';
import { lockFile } from '../os/lock.ts';
import { NftablesError, ownRuleset } from '../os/nftables.ts';
import { makeNetworkNamespace } from '../os/syscalls.ts';
import { addToNetwork, deleteFromNetwork, inKnownVersion } from './chain.ts';
import { whileNotCollected } from './collect.ts';
import { findNetworks, type NetworkRequest } from './config.ts';
import { NetError } from './error.ts';
import {
  addressOf,
  type FirewallPlan,
  familyOf,
  type HostService,
  nftRuleset,
} from './firewall.ts';
import { writeNetworkInfo } from './info.ts';
import { addIptablesRules } from './iptables.ts';
import { closeLoopback, type LoopbackEnd, openLoopback } from './loopback.ts';
import type { PluginOptions } from './plugin.ts';
import { checkPorts, PORTS_FILE } from './ports.ts';
import { resolverText } from './resolver.ts';
import { readResult } from './result.ts';
import { interfaceTowards } from './route.ts';
import { forgetAttachment, saveAttachment, savedAttachments } from './state.ts';
import type { Attachment, AttachmentResult, NetworkConfig } from './types.ts';

export interface JoinRequest {
  readonly uuid: string;
  /** The pod's folder among those of the other running pods. */
  readonly podFolder: string;
  readonly networks: readonly NetworkRequest[];
  /** The folder net.d of the configuration. */
  readonly configFolder: string;
  readonly ports: readonly ForwardedPort[];
  /** A service of the host's loopback, and the address that the pod has for it. */
  readonly metadata?: HostService;
  readonly plugins: PluginOptions;
  readonly warn: (message: string) => void;
}

/** A pod's place in its networks. */
export interface Joined {
  /** Of the pod's network namespace, for as long as this process, or what it becomes, lives. */
  readonly netnsPath: string;
  /** Descriptors that hold the namespace and the firewall's rules: the pod must inherit them. */
  readonly keepOpen: readonly number[];
  /** What the first network that knows any resolvers says of them, as a resolv.conf(5). */
  readonly resolvConf: string | undefined;
}

/** A network that a pod is in, with what joining it came to. */
interface Member {
  readonly attachment: Attachment;
  /** Whether its configuration asks for masquerading, which is done here and not by the plugin. */
  readonly masquerade: boolean;
  readonly result: AttachmentResult;
}

/**
 * Makes a network namespace for a pod and joins its networks, one interface for each: eth0, eth1, …
 * Nothing but the addresses that IPAM plugins lease outlives the pod: the kernel takes the namespace,
 * the interfaces and the firewall's rules away with the last process that holds their descriptors.
 * `leaveNetworks` gives the leases back.
 *
 * @throws NetError; whatever was joined by then has been left again
 */
export function joinNetworks(request: JoinRequest): Joined {
  const found = findNetworks(request.configFolder, request.networks, request.warn);
  if (request.ports.length > 0) takePorts(request.podFolder, request.ports, found.length);
  const netns = makeNetworkNamespace();
  const netnsPath = `/proc/${process.pid}/fd/${netns}`;
  try {
    const mapper = portMapper(found.map(({ network }) => network));
    const members = whileNotCollected(dirname(request.podFolder), () =>
      found.map(({ network, args }, index) =>
        joinNetwork(request, network, args, index, netnsPath, mapper === network),
      ),
    );
    if (request.metadata) addRoute(request.metadata, forwarding(members), netnsPath);
    const rules = addRules(mapper ? { ...request, ports: [] } : request, members);
    writeNetworkInfo(
      request.podFolder,
      members.map(({ attachment, result }) => ({ attachment, result })),
      request.plugins.folders,
    );
    return {
      netnsPath,
      keepOpen: rules === undefined ? [netns] : [netns, rules],
      resolvConf: firstResolvers(members, request.warn),
    };
  } catch (error) {
    leaveAll(request, netnsPath);
    closeSync(netns);
    throw error;
  }
}

/** One pod at a time looks which ports are taken, and notes those that it takes. */
function takePorts(podFolder: string, ports: readonly ForwardedPort[], networkCount: number): void {
  if (networkCount === 0)
    throw new NetError('unsupported', 'cannot forward ports: the pod joins no network');
  const lock = lockFile(join(dirname(dirname(dirname(podFolder))), 'locks', 'ports'), 'exclusive');
  try {
    checkPorts(podFolder, ports);
    const file = join(podFolder, PORTS_FILE);
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
    writeFileSync(file, JSON.stringify(ports));
  } finally {
    lock.release();
  }
}

function joinNetwork(
  request: JoinRequest,
  network: NetworkConfig,
  args: string,
  index: number,
  netnsPath: string,
  mapsPorts: boolean,
): Member {
  const attachment: Attachment = {
    network: withoutMasquerade(inKnownVersion(network, request.plugins)),
    containerId: request.uuid,
    interfaceName: `eth${index}`,
    netns: netnsPath,
    args,
    runtimeConfig: mapsPorts ? { portMappings: request.ports.flatMap(portMappings) } : {},
  };
  saveAttachment(request.podFolder, index, attachment);
  const said = addToNetwork(attachment, request.plugins);
  const joined = { ...attachment, result: said };
  saveAttachment(request.podFolder, index, joined);
  return {
    attachment: joined,
    masquerade: network.plugins.some((plugin) => plugin.ipMasq),
    result: readResult(network.name, attachment.network.cniVersion, said),
  };
}

/** A plugin's own rules would outlive a pod that is killed, and cost several calls of iptables(8). */
function withoutMasquerade(network: NetworkConfig): NetworkConfig {
  const plugins = network.plugins.map((plugin) =>
    plugin.ipMasq === undefined ? plugin : { ...plugin, ipMasq: false },
  );
  return { ...network, plugins };
}

/** The network that ports lead to, when a plugin of its chain does that itself. */
function portMapper(networks: readonly NetworkConfig[]): NetworkConfig | undefined {
  const masquerades = (network: NetworkConfig) => network.plugins.some(({ ipMasq }) => ipMasq);
  const target = networks.find(masquerades) ?? networks.at(-1);
  return target?.plugins.some(({ capabilities }) => capabilities?.['portMappings'])
    ? target
    : undefined;
}

/** The capability "portMappings" (CNI conventions). */
function portMappings(port: ForwardedPort) {
  return Array.from({ length: port.count }, (_, index) => ({
    hostPort: port.hostPort + index,
    containerPort: port.podPort + index,
    protocol: port.protocol,
    ...(port.hostIP ? { hostIP: port.hostIP } : {}),
  }));
}

/** Ports lead to the first network that masquerades, else to the last (surface 10.4). */
function forwarding(members: readonly Member[]): Member | undefined {
  return members.find((member) => member.masquerade) ?? members.at(-1);
}

function addRules(request: JoinRequest, members: readonly Member[]): number | undefined {
  const target = forwarding(members);
  const targets = ['ip', 'ip6'].flatMap((family) => {
    const found = target?.result.addresses.find(({ cidr }) => familyOf(cidr) === family);
    return found ? [found.cidr] : [];
  });
  const ends = targets.flatMap((cidr): LoopbackEnd[] => {
    const name = interfaceTowards(addressOf(cidr));
    // The metadata service has an IPv4 address alone.
    const led = familyOf(cidr) === 'ip' || request.ports.length > 0;
    return name === undefined || !led ? [] : [`${familyOf(cidr)} ${name}`];
  });
  const plan: FirewallPlan = {
    uuid: request.uuid,
    addresses: members.flatMap(({ masquerade, result }) =>
      result.addresses.map(({ cidr }) => ({ cidr, masquerade })),
    ),
    targets,
    ports: request.ports,
    ...(request.metadata ? { metadata: request.metadata } : {}),
    hostInterfaces: ends.flatMap((end) => (end.startsWith('ip ') ? [end.slice(3)] : [])),
  };
  const usesLoopback = plan.ports.length > 0 || plan.metadata !== undefined;
  if (!usesLoopback && plan.addresses.every(({ masquerade }) => !masquerade)) return undefined;
  if (usesLoopback && targets.length === 0)
    throw new NetError(
      'unsupported',
      `cannot lead anything to the pod: network "${target?.attachment.network.name}" gave it no address`,
    );
  const owner = makeRules(request.podFolder, plan);
  // Only now that the rules guard it.
  if (usesLoopback) openLoopback(request.podFolder, ends, request.warn);
  return owner;
}

/** By nftables, else by iptables; gives the descriptor that owns the rules of the former. */
function makeRules(podFolder: string, plan: FirewallPlan): number | undefined {
  const ruleset = nftRuleset(plan);
  try {
    const owner = ownRuleset(ruleset);
    if (owner === undefined) addIptablesRules(podFolder, plan);
    return owner;
  } catch (error) {
    // A kernel without it, or one that lets nobody own a table.
    if (!(error instanceof NftablesError)) throw error;
    addIptablesRules(podFolder, plan, error);
    return undefined;
  }
}

/** A pod reaches the service by the gateway of the network that its ports come from. */
function addRoute(service: HostService, member: Member | undefined, netnsPath: string): void {
  const gateway = member?.result.addresses.find(({ cidr }) => familyOf(cidr) === 'ip')?.gateway;
  if (!member || !gateway) return;
  const via = ['via', gateway, 'dev', member.attachment.interfaceName];
  const argv = [`--net=${netnsPath}`, 'ip', 'route', 'replace', `${service.address}/32`, ...via];
  const { status, stderr, error } = spawnSync('nsenter', argv, {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status !== 0)
    throw new NetError(
      'unsupported',
      `cannot lead the pod to the metadata service: ${error?.message ?? stderr.toString().trim()}`,
      error,
    );
}

function firstResolvers(
  members: readonly Member[],
  warn: (message: string) => void,
): string | undefined {
  const [first, ...others] = members.filter(({ result }) => result.dns.nameservers.length > 0);
  for (const { attachment } of others)
    warn(`network "${attachment.network.name}" has resolvers of its own, which are not used`);
  return first && resolverText(`from network ${first.attachment.network.name}`, first.result.dns);
}

function leaveAll(request: JoinRequest, netnsPath: string): void {
  closeLoopback(request.podFolder);
  for (const { file, attachment } of savedAttachments(request.podFolder).toReversed())
    try {
      deleteFromNetwork(attachment, netnsPath, request.plugins);
      forgetAttachment(request.podFolder, file);
    } catch (error) {
      request.warn(error instanceof Error ? error.message : String(error));
    }
}
