import type { ForwardedPort } from '../appc/ports.ts';
import { readIfExists } from '../os/files.ts';
import { NetError } from './error.ts';
import { isAnyAddress } from './firewall.ts';
import { recordsOfOthers } from './state.ts';

const FILE = 'net/ports.json';

/**
 * Takes host ports for a pod, before anything of it starts; the record in its folder keeps them
 * as long as it runs. The caller holds a lock that lets one pod at a time do this.
 *
 * @throws NetError `port-in-use`
 */
export function checkPorts(podFolder: string, ports: readonly ForwardedPort[]): void {
  const listening = [...listeners('tcp'), ...listeners('udp')];
  const pods = portsOfOthers(podFolder);
  for (const port of ports) {
    const taken = listening.find((listener) => meets(port, listener));
    if (taken)
      throw inUse(port, taken.port, `something listens on ${taken.address}:${taken.port} already`);
    for (const { uuid, others } of pods) {
      const other = others.find((candidate) => overlap(port, candidate));
      if (other)
        throw inUse(port, Math.max(port.hostPort, other.hostPort), `pod ${uuid} has it already`);
    }
  }
}

export const PORTS_FILE = FILE;

function inUse(port: ForwardedPort, number: number, why: string): NetError {
  return new NetError(
    'port-in-use',
    `cannot forward ${port.protocol} port ${number} ("${port.name}"): ${why}`,
  );
}

function portsOfOthers(podFolder: string): { uuid: string; others: ForwardedPort[] }[] {
  return recordsOfOthers(podFolder, FILE)
    .filter(({ running }) => running)
    .map(({ uuid, text }) => ({ uuid, others: JSON.parse(text) }));
}

function overlap(one: ForwardedPort, other: ForwardedPort): boolean {
  return (
    one.protocol === other.protocol &&
    one.hostPort < other.hostPort + other.count &&
    other.hostPort < one.hostPort + one.count &&
    sameAddress(one.hostIP, other.hostIP)
  );
}

interface Listener {
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
}

function meets(port: ForwardedPort, listener: Listener): boolean {
  return (
    port.protocol === listener.protocol &&
    listener.port >= port.hostPort &&
    listener.port < port.hostPort + port.count &&
    sameAddress(port.hostIP, listener.address)
  );
}

function sameAddress(one: string | undefined, other: string | undefined): boolean {
  return isAnyAddress(one) || isAnyAddress(other) || one === other;
}

/** Who listens on the host: proc_pid_net(5), /proc/net/tcp and the like. */
function listeners(protocol: 'tcp' | 'udp'): Listener[] {
  return ['', '6'].flatMap((family) =>
    (readIfExists(`/proc/net/${protocol}${family}`) ?? '')
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, local = '', , state] = line.trim().split(/\s+/);
        const [address = '', port = ''] = local.split(':');
        const listens = state === (protocol === 'tcp' ? '0A' : '07');
        return listens
          ? [{ protocol, address: textOf(address), port: Number.parseInt(port, 16) }]
          : [];
      }),
  );
}

/** An address of /proc/net: 32-bit words in the order of this host's bytes. */
function textOf(hex: string): string {
  const words = (hex.match(/.{8}/g) ?? []).map((word) => Buffer.from(word, 'hex').reverse());
  const bytes = Buffer.concat(words);
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.every((byte) => byte === 0)) return '::';
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}
