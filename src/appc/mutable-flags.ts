/** Flags of `rkt app sandbox` and `rkt app add`. */
import { isIP } from 'node:net';
import { AppcError } from './error.ts';
import { parseVolumeFlag } from './flags.ts';
import { isACName } from './names.ts';
import type { ExposedPort, Mount } from './types.ts';

/** `NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT`, all five; an IPv6 address may stand in brackets. */
export function parseSandboxPort(text: string): ExposedPort {
  const match = /^([^:]*):(tcp|udp):(\d+):(.+):(\d+)$/.exec(text);
  const [, name = '', protocol = '', pod, address = '', host] = match ?? [];
  const hostIP = address.replace(/^\[(.*)\]$/, '$1');
  const ports = [Number(pod), Number(host)];
  if (!match || !isACName(name) || isIP(hostIP) === 0 || ports.some((n) => n < 1 || n > 65_535))
    throw new AppcError(
      'schema',
      `bad port "${text}": must be NAME:tcp|udp:PODPORT:HOSTIP:HOSTPORT, ports from 1 to 65535`,
    );
  const [podPort = 0, hostPort = 0] = ports;
  return {
    name,
    hostPort,
    hostIP,
    podPort: { name, protocol, port: podPort, count: 1, socketActivated: false },
  };
}

/** `NAME,kind=KIND[,KEY=VALUE]...,target=PATH`: a volume that only one app has, and where. */
export function parseOwnVolumeFlag(text: string): Mount {
  const isTarget = (part: string) => part.startsWith('target=');
  const parts = text.split(',');
  const [target, again] = parts.filter(isTarget);
  const path = target?.slice('target='.length);
  if (!path || again !== undefined)
    throw new AppcError('schema', `bad volume "${text}": one target=PATH is needed`);
  const appVolume = parseVolumeFlag(parts.filter((part) => !isTarget(part)).join(','));
  return { volume: appVolume.name, path, appVolume };
}
