import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type ForwardedPort, type PodManifest, resolvePorts } from '../../src/appc/index.ts';
import { joinNetworks } from '../../src/net/join.ts';
import { PLUGIN_DEADLINE, PLUGIN_FOLDERS } from '../../src/net/plugin.ts';
import { usableResolvers } from '../../src/net/resolver.ts';
import { METADATA_ADDRESS, METADATA_PORT, type RunArguments } from '../../src/stage1/contract.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import type { Stage1Pod } from '../../src/stage1/pod-context.ts';
import { readAppImageManifest } from '../../src/stage1/pod-files.ts';
import { appSection } from '../../src/stage1/process.ts';
import { isSystemdHost } from '../../src/systemd/host.ts';
import { passedSockets } from '../../src/systemd/listen.ts';
import type { Resolvers } from './resolvers.ts';

/** The pod's network namespace, and what must stay open for it to last. */
export interface PodNetwork {
  readonly netnsPath: string;
  readonly keepOpen: readonly number[];
  readonly resolvers: Resolvers;
}

/**
 * Joins the networks of `--net`. Meanwhile somebody is started who gives the leases back when the pod's
 * lock, and with it the pod, has ended; were this process killed before, `rkt gc` would.
 */
export async function joinPodNetworks(
  pod: Stage1Pod,
  manifest: PodManifest,
  options: RunArguments,
): Promise<PodNetwork> {
  const left = leaveAfterwards(pod);
  // Told below; it may fail before anybody asks.
  left.catch(() => {});
  const joined = joinNetworks({
    uuid: pod.uuid,
    podFolder: pod.folder,
    networks: options.net.map((text) => {
      const [name = '', ...args] = text.split(':');
      return { name, args: args.join(':') };
    }),
    configFolder: join(options.localConfig, 'net.d'),
    ...(options.mdsToken ? { metadata: { address: METADATA_ADDRESS, port: METADATA_PORT } } : {}),
    ports: forwardedPorts(pod.folder, manifest),
    plugins: { folders: PLUGIN_FOLDERS, deadline: PLUGIN_DEADLINE },
    warn: pod.warn,
  });
  await left;
  return {
    netnsPath: joined.netnsPath,
    keepOpen: joined.keepOpen,
    resolvers: {
      text: joined.resolvConf ?? usableResolvers(),
      ofNetwork: joined.resolvConf !== undefined,
    },
  };
}

function forwardedPorts(podFolder: string, manifest: PodManifest): ForwardedPort[] {
  const apps = manifest.apps.map((app) => ({
    name: app.name,
    app: appSection(app, readAppImageManifest(podFolder, app.name)),
  }));
  // What comes to a socket that is open already has arrived.
  const passed = passedSockets().map(({ port }) => port);
  return resolvePorts(apps, manifest.ports).filter(({ hostPort }) => !passed.includes(hostPort));
}

/**
 * flock(1) waits, outside of the pod, for the end of the pod's lock, and becomes the parent of what
 * leaves the networks. It is a unit of its own where there is a systemd, or else nobody's child.
 */
async function leaveAfterwards(pod: Stage1Pod): Promise<void> {
  const wait = ['flock', '--shared', pod.folder, ...pod.leaveNetworks];
  const starter = isSystemdHost()
    ? [
        'systemd-run',
        '--quiet',
        '--no-block',
        '--collect',
        '--slice=machine.slice',
        `--unit=rkt-net-${pod.uuid}.service`,
        `--description=Networks of rkt pod ${pod.uuid}`,
        `--working-directory=${pod.folder}`,
        '--property=Restart=on-failure',
      ]
    : ['setsid', '--fork', 'env', '--ignore-signal=INT,TERM,HUP'];
  const [program = '', ...argv] = [...starter, ...wait];
  const child = spawn(program, argv, { stdio: 'ignore', cwd: pod.folder });
  let cause: unknown;
  try {
    const [status] = await once(child, 'exit');
    if (status === 0) return;
  } catch (error) {
    cause = error;
  }
  throw new Stage1Error(
    'missing-program',
    `cannot start ${program}, which cleans up the pod's networks: install util-linux and systemd`,
    cause,
  );
}
