import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type ForwardedPort, type PodManifest, resolvePorts } from '../../src/appc/index.ts';
import { joinNetworks } from '../../src/net/join.ts';
import { PLUGIN_DEADLINE, PLUGIN_FOLDERS } from '../../src/net/plugin.ts';
import { resolverText, usableResolvers } from '../../src/net/resolver.ts';
import { METADATA_ADDRESS, METADATA_PORT, type RunArguments } from '../../src/stage1/contract.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import type { Stage1Pod } from '../../src/stage1/pod-context.ts';
import { readAppImageManifest } from '../../src/stage1/pod-files.ts';
import { appSection } from '../../src/stage1/process.ts';
import { isSystemdHost } from '../../src/systemd/host.ts';

/** The pod's network namespace, and what must stay open for it to last. */
export interface PodNetwork {
  readonly netnsPath: string;
  readonly keepOpen: readonly number[];
  /** The resolv.conf of apps whose image has none of use. */
  readonly resolvConf: string;
}

/**
 * Joins the networks of `--net`. Before that somebody is found who gives the leases back when the
 * pod's lock, and with it the pod, has ended.
 */
export function joinPodNetworks(
  pod: Stage1Pod,
  manifest: PodManifest,
  options: RunArguments,
): PodNetwork {
  leaveAfterwards(pod);
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
  return {
    netnsPath: joined.netnsPath,
    keepOpen: joined.keepOpen,
    resolvConf: joined.dns ? resolverText(joined.dns) : usableResolvers(),
  };
}

function forwardedPorts(podFolder: string, manifest: PodManifest): ForwardedPort[] {
  const apps = manifest.apps.map((app) => ({
    name: app.name,
    app: appSection(app, readAppImageManifest(podFolder, app.name)),
  }));
  return resolvePorts(apps, manifest.ports);
}

/**
 * flock(1) waits, outside of the pod, for the end of the pod's lock, and becomes the parent of what
 * leaves the networks. It is a unit of its own where there is a systemd, or else nobody's child.
 */
function leaveAfterwards(pod: Stage1Pod): void {
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
  const { status, error } = spawnSync(program, argv, { stdio: 'ignore', cwd: pod.folder });
  if (status === 0) return;
  throw new Stage1Error(
    'missing-program',
    `cannot start ${program}, which cleans up the pod's networks: install util-linux and systemd`,
    error,
  );
}
