import { writeSync } from 'node:fs';
import type { PodManifest, Port } from '../../src/appc/index.ts';
import { type PassedSocket, passedSockets } from '../../src/systemd/listen.ts';
import { BARE } from './app-unit.ts';
import type { AppService } from './service.ts';
import { unitText } from './unit-text.ts';

/** Sockets of the caller's unit that apps of the pod listen on. */
export interface PodSockets {
  /** The units that systemd in the pod hands the sockets over with, by file name. */
  readonly units: ReadonlyMap<string, string>;
  /** Names of the units of an app. */
  readonly ofApp: ReadonlyMap<string, readonly string[]>;
  /** Descriptors that stay open, first to last; empty when no app wants one. */
  readonly fds: readonly number[];
}

/**
 * Which app gets which of the sockets that were passed to this process: the one with a port that is
 * `socketActivated` and has, on the host, the socket's number. systemd(1) in the pod finds the sockets
 * among its own descriptors, by the address in its socket units.
 */
export function planSockets(pod: PodManifest): PodSockets {
  const units = new Map<string, string>();
  const ofApp = new Map<string, string[]>();
  const passed = passedSockets();
  for (const socket of passed) {
    const wanted = pod.apps
      .flatMap(({ name, app }) => (app?.ports ?? []).map((port) => ({ name, port })))
      .find(({ port }) => port.socketActivated && listensOn(pod, port, socket));
    if (!wanted) {
      writeSync(2, `stage1: warning: no app has a socketActivated port for ${shown(socket)}\n`);
      continue;
    }
    const { name, port } = wanted;
    const unit = `rkt_listen_${units.size}.socket`;
    units.set(unit, socketUnit(name, port, socket));
    ofApp.set(name, [...(ofApp.get(name) ?? []), unit]);
  }
  if (units.size === 0) return { units, ofApp, fds: [] };
  // systemd looks for the sockets of its descriptors among the units that it has before any is started.
  units.set('-.slice', unitText([['Unit', [BARE, ['Wants', [...units.keys()].join(' ')]]]]));
  return { units, ofApp, fds: passed.map(({ fd }) => fd) };
}

function shown({ address, fd }: PassedSocket): string {
  return `the passed socket ${address ?? `with descriptor ${fd}`}`;
}

function listensOn({ ports }: PodManifest, port: Port, { port: number, type }: PassedSocket) {
  if (number === undefined || type !== (port.protocol === 'udp' ? 'datagram' : 'stream'))
    return false;
  const first = ports.find(({ name }) => name === port.name)?.hostPort ?? port.port;
  return number >= first && number < first + port.count;
}

function socketUnit(app: string, { name }: Port, { type, address }: PassedSocket): string {
  return unitText([
    ['Unit', [BARE, ['Conflicts', 'shutdown.target'], ['Before', 'shutdown.target']]],
    [
      'Socket',
      [
        [type === 'datagram' ? 'ListenDatagram' : 'ListenStream', address ?? ''],
        ['Service', `${app}.service`],
        ['FileDescriptorName', name],
      ],
    ],
  ]);
}

/** An app's service with the sockets that it starts with. */
export function withSockets(service: AppService, { ofApp }: PodSockets): AppService {
  const sockets = ofApp.get(service.process.name);
  return sockets ? { ...service, sockets } : service;
}

/** sd_listen_fds(3): for the container manager, which passes them on to the pod's systemd. */
export function listenEnvironment({ fds }: PodSockets): Record<string, string> {
  if (fds.length === 0) return {};
  return { LISTEN_FDS: String(fds.length), LISTEN_PID: String(process.pid) };
}
