import { type ChildProcess, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { hasUnifiedCgroup, isSystemdHost } from '../../src/systemd/host.ts';
import { type NspawnPod, nspawnArgv, nspawnEnvironment } from '../../stage1/nspawn/command.ts';
import { quoteAll, run, until } from './command.ts';
import { APP } from './fixtures.ts';

/** What else runs containers here: how to run one, and where that lives. */
export interface Peer {
  /** Up to the image's name. */
  readonly run: readonly string[];
  readonly client: readonly string[];
  stop(): Promise<void>;
}

const TAG = 'localhost/rkt-bench';
export const PEER_IMAGE = `${TAG}:latest`;

/** What the machine may not raise is set lower than what podman asks for by itself. */
const LIMITS = ['--ulimit=nofile=1024:2048', '--ulimit=nproc=1000:1000'];

function importRootfs(client: readonly string[], rootfs: string): void {
  run(['sh', '-c', `tar -C "$0" -c . | "$@" import - ${TAG}`, rootfs, ...client]);
}

/** podman with crun and a store of its own. */
export async function podman(work: string, rootfs: string, cgroup: string): Promise<Peer> {
  const systemd = isSystemdHost();
  const holder = systemd ? undefined : await withoutHybridCgroup();
  const client = [
    ...(holder ? ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`] : []),
    'podman',
    `--root=${work}/podman`,
    `--runroot=${work}/podman-run`,
    `--tmpdir=${work}/podman-tmp`,
    '--storage-driver=overlay',
    `--cgroup-manager=${systemd ? 'systemd' : 'cgroupfs'}`,
    '--runtime=crun',
    '--events-backend=none',
  ];
  importRootfs(client, rootfs);
  const parent = systemd ? [] : [`--cgroup-parent=/${cgroup}`];
  return {
    client,
    run: ['run', '--network=none', ...parent, ...LIMITS],
    async stop() {
      holder?.kill();
    },
  };
}

/** crun refuses a cgroup2 beside version 1 where controllers are left to it: hides it from podman. */
async function withoutHybridCgroup(): Promise<ChildProcess | undefined> {
  const unified = '/sys/fs/cgroup/unified';
  if (!existsSync(join(unified, 'cgroup.controllers'))) return undefined;
  const holder = spawn('unshare', [
    '--mount',
    'sh',
    '-c',
    `umount ${unified}; echo; exec sleep inf`,
  ]);
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  holder.unref();
  return holder;
}

/** docker with a daemon of its own, which `stop` ends. */
export async function docker(work: string, rootfs: string, cgroup: string): Promise<Peer> {
  const socket = `unix://${work}/docker.sock`;
  const log = join(work, 'dockerd.log');
  const fd = openSync(log, 'w');
  const daemon = spawn(
    'dockerd',
    [
      '--iptables=false',
      '--bridge=none',
      '--storage-driver=overlay2',
      `--data-root=${work}/docker`,
      `--exec-root=${work}/docker-run`,
      `--pidfile=${work}/docker.pid`,
      `--host=${socket}`,
      ...(isSystemdHost() ? [] : [`--cgroup-parent=/${cgroup}`]),
    ],
    { stdio: ['ignore', fd, fd] },
  );
  const ended = new Promise<void>((resolve) =>
    daemon.once('exit', () => resolve()).once('error', () => resolve()),
  );
  // Debian's client, where another one comes before it on PATH.
  const client = [existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker', `--host=${socket}`];
  const stop = async () => {
    daemon.kill();
    await ended;
  };
  try {
    await until('the start of dockerd', () => {
      if (daemon.exitCode !== null || daemon.pid === undefined) throw new Error(dockerError(log));
      return existsSync(`${work}/docker.sock`) && answers(client) ? true : undefined;
    });
    importRootfs(client, rootfs);
  } catch (error) {
    await stop();
    throw error;
  }
  return { client, run: ['run', '--net=none'], stop };
}

function answers(client: readonly string[]): boolean {
  try {
    run([...client, 'version']);
    return true;
  } catch {
    return false;
  }
}

function dockerError(log: string): string {
  return `dockerd ended: ${readFileSync(log, 'utf8').trim().split('\n').at(-1)}`;
}

/**
 * A script that starts systemd-nspawn as rkt does, with the units of a pod that rkt has run, on a
 * root file system that stays: no Node, no pod folder, no overlay.
 */
export function bareNspawn(work: string, dataDir: string, rootfs: string): string {
  const [uuid = ''] = readdirSync(join(dataDir, 'pods/run'));
  const root = join(work, 'bare');
  mkdirSync(root);
  run(['cp', '-aT', join(dataDir, 'pods/run', uuid, 'stage1/rootfs'), root]);
  cpSync(rootfs, join(root, `opt/stage2/${APP}/rootfs`), {
    recursive: true,
    verbatimSymlinks: true,
  });
  for (const name of ['dev', 'proc', 'sys', 'run', 'etc', 'tmp'])
    mkdirSync(join(root, `opt/stage2/${APP}/rootfs`, name), { recursive: true });
  // Nobody relays here: what opened a FIFO would wait for its reader.
  run(['rm', '-r', join(root, 'rkt/streams')]);
  const unitFile = join(root, `rkt/units/${APP}.service`);
  const unit = readFileSync(unitFile, 'utf8').replace(/^(Standard\w+)=.*$/gm, '$1=null');
  writeFileSync(unitFile, unit);
  const pod: NspawnPod = {
    uuid,
    root,
    hostname: `rkt-${uuid}`,
    debug: false,
    network: 'none',
    sharedIpc: false,
    terminal: false,
    sharedStdin: false,
    systemd: isSystemdHost(),
    notify: false,
    credentials: [],
    listen: {},
    capabilities: /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.split(' '),
    protectPaths: true,
    unified: hasUnifiedCgroup(),
  };
  const argv = nspawnArgv(pod, 0);
  argv.splice(1, 0, '--bind-ro=/usr');
  const whole = isSystemdHost() ? [...scope(`rkt-${uuid}.scope`), ...argv] : argv;
  const script = join(work, 'bare-nspawn');
  const exports = Object.entries(nspawnEnvironment(pod)).map((pair) => `export ${pair.join('=')}`);
  const command = quoteAll(whole).replace('/proc/0/fd', () => '/proc/$$/fd');
  writeFileSync(script, `#!/bin/sh\n${exports.join('\n')}\nexec ${command}\n`, { mode: 0o755 });
  return script;
}

/** What becomes a command inside a new scope: systemd-run(1). */
function scope(unit: string): string[] {
  const properties = ['--slice=machine.slice', `--unit=${unit}`, '--property=Delegate=yes'];
  return ['systemd-run', '--scope', '--quiet', '--collect', ...properties, '--'];
}
