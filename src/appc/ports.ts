/** Which app port a host port leads to (`--port`, the pod manifest's `ports`). */
import { AppcError } from './error.ts';
import type { App, ExposedPort, Port } from './types.ts';

/** `count` host ports from `hostPort` on lead to as many pod ports from `podPort` on. */
export interface ForwardedPort {
  name: string;
  protocol: string;
  /** Absent: every address of the host. */
  hostIP?: string;
  hostPort: number;
  podPort: number;
  count: number;
}

/** An app's name and its app section in force. */
export interface NamedApp {
  name: string;
  app: App;
}

/**
 * Finds the port of each forwarding.
 *
 * @throws AppcError `not-found` for a port that no app has, `conflict` for one that several have
 *   and for host ports that overlap
 */
export function resolvePorts(
  apps: readonly NamedApp[],
  exposed: readonly ExposedPort[],
): ForwardedPort[] {
  const resolved: ForwardedPort[] = [];
  for (const wanted of exposed) {
    const { protocol, port, count } = wanted.podPort ?? findPort(apps, wanted.name);
    const { hostIP, hostPort, name } = wanted;
    if (hostPort + count > 65_536)
      throw new AppcError(
        'conflict',
        `port "${name}": ${count} host ports from ${hostPort} on go beyond 65535`,
      );
    const forwarded: ForwardedPort = { name, protocol, hostPort, podPort: port, count };
    if (hostIP !== undefined) forwarded.hostIP = hostIP;
    const rival = resolved.find((other) => overlap(other, forwarded));
    if (rival !== undefined)
      throw new AppcError(
        'conflict',
        `port ${hostPort}-${hostIP ?? '0.0.0.0'}:${protocol} already mapped to pod port ${rival.podPort}`,
      );
    resolved.push(forwarded);
  }
  return resolved;
}

function findPort(apps: readonly NamedApp[], name: string): Port {
  const found = apps.flatMap(({ name: app, app: { ports } }) =>
    ports.filter((port) => port.name === name).map((port) => ({ app, port })),
  );
  const [first, ...others] = found;
  if (first === undefined)
    throw new AppcError('not-found', `port name "${name}" could not be found in any apps`);
  if (others.length > 0)
    throw new AppcError(
      'conflict',
      `port name "${name}" is ambiguous: it is in ${found.map(({ app }) => `app "${app}"`).join(' and ')}`,
    );
  return first.port;
}

function overlap(one: ForwardedPort, other: ForwardedPort): boolean {
  return (
    one.protocol === other.protocol &&
    one.hostPort < other.hostPort + other.count &&
    other.hostPort < one.hostPort + one.count &&
    (one.hostIP === other.hostIP || isAny(one.hostIP) || isAny(other.hostIP))
  );
}

function isAny(hostIP: string | undefined): boolean {
  return hostIP === undefined || hostIP === '0.0.0.0' || hostIP === '::';
}
