import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { REGISTRATION_SOCKET } from '../../metadata/client.ts';
import { MetadataError } from '../../metadata/error.ts';
import { Registry } from '../../metadata/registry.ts';
import { type Listen, serve } from '../../metadata/server.ts';
import { giveFolder } from '../../os/ownership.ts';
import { useNativePackages } from '../../systemd/native.ts';
import { type Service, serviceReady } from '../../systemd/service.ts';
import type { Context } from '../context.ts';
import { CliError } from '../error.ts';

/** How long the service stays without a request when systemd can start it again, in milliseconds. */
const IDLE = 30_000;

/** sd_listen_fds(3): the first descriptor that was passed. */
const FIRST_FD = 3;

/** The user that nothing belongs to. */
const NOBODY = 65_534;

/** Serves pods their metadata: appc specification, "App Container Metadata Service". */
export async function run({ globals, flags, note }: Context): Promise<number> {
  useNativePackages();
  const activated = process.env['LISTEN_PID'] === String(process.pid);
  const folder = process.env['STATE_DIRECTORY'] ?? join(globals.dataDir, 'metadata');
  const end = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end.abort());
  const listen = activated ? passedSockets() : await ownSockets(flags.value('listen-port') ?? '');
  const asRoot = process.getuid?.() === 0;
  let service: Service | undefined;
  await serve({
    ...listen,
    idle: activated ? IDLE : undefined,
    log: note,
    signal: end.signal,
    open: () => {
      if (!activated) chmodSync(REGISTRATION_SOCKET, 0o660);
      if (asRoot) becomeNobody(folder);
      // Only now: what pods have said is not for root to read.
      const registry = new Registry(asRoot ? '.' : folder);
      service = serviceReady();
      return registry;
    },
  });
  service?.stopping();
  return 0;
}

interface Sockets {
  readonly registrations: Listen;
  readonly questions: Listen;
}

function passedSockets(): Sockets {
  return { registrations: { fd: FIRST_FD }, questions: { fd: FIRST_FD + 1 } };
}

async function ownSockets(listenPort: string): Promise<Sockets> {
  const port = Number(listenPort);
  if (!/^\d+$/.test(listenPort) || port < 1 || port > 65_535)
    throw new CliError('flag-value', `--listen-port: "${listenPort}" is not a port`);
  if (await isAnswering(REGISTRATION_SOCKET))
    throw new MetadataError(
      'in-use',
      `cannot listen on ${REGISTRATION_SOCKET}: another metadata service does`,
    );
  // What a killed service has left.
  rmSync(REGISTRATION_SOCKET, { force: true });
  mkdirSync(dirname(REGISTRATION_SOCKET), { recursive: true, mode: 0o755 });
  return { registrations: { path: REGISTRATION_SOCKET }, questions: { port } };
}

function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * The state belongs to who serves it, which is nobody when root started the service by hand. The way
 * to it may be root's alone, so that it becomes the current folder.
 */
function becomeNobody(folder: string): void {
  mkdirSync(join(folder, 'pods'), { recursive: true, mode: 0o700 });
  giveFolder(folder, NOBODY, NOBODY);
  process.chdir(folder);
  process.setgroups?.([]);
  process.setgid?.(NOBODY);
  process.setuid?.(NOBODY);
}
