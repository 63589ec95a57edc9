import { existsSync, mkdirSync, statSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { appEnvironment, type RuntimeApp } from '../../src/appc/index.ts';
import { onPathOfRoot } from '../../src/os/inroot.ts';
import { bindInRoot, makeTarget, remountReadOnly } from '../../src/os/mount-in-root.ts';
import { chroot, execve, MS, mount } from '../../src/os/syscalls.ts';
import { METADATA_PORT, type RunArguments } from '../../src/stage1/contract.ts';
import { writeEnterRecord } from '../../src/stage1/enter-record.ts';
import { Stage1Error } from '../../src/stage1/error.ts';
import { type Lifecycle, lifecycleOf } from '../../src/stage1/lifecycle.ts';
import { type AppMount, appMounts } from '../../src/stage1/mounts.ts';
import type { Stage1Pod } from '../../src/stage1/pod-context.ts';
import {
  appRootfs,
  POD_FILES,
  readAppImageManifest,
  readPodManifest,
} from '../../src/stage1/pod-files.ts';
import { appSection, planProcess } from '../../src/stage1/process.ts';
import { supervision } from '../../src/systemd/host.ts';
import { notify } from '../../src/systemd/notify.ts';
import { registerMachine, requestScope } from '../../src/systemd/scope.ts';
import { applyIsolators, checkIsolators } from './isolators.ts';

/** Where systemd has it on any host. */
const NOTIFY_SOCKET = '/run/systemd/notify';

/**
 * The entry point `run` of the fly flavour: this process becomes the pod's one app, in the host's
 * namespaces and without confinement, with nothing of its own but a root file system.
 */
export async function run(pod: Stage1Pod, options: RunArguments): Promise<never> {
  const manifest = readPodManifest(pod.folder);
  if (options.mutable)
    throw new Stage1Error(
      'unsupported',
      'the fly stage1 runs one app, and none can come later: use another stage1 for rkt app sandbox',
    );
  const app = onlyApp(manifest.apps);
  const image = readAppImageManifest(pod.folder, app.name);
  const section = appSection(app, image);
  const lifecycle = lifecycleOf(app, image);
  checkLifecycle(app.name, lifecycle);
  const root = join(pod.folder, POD_FILES.stage1Root, appRootfs(app.name));
  const mounts = appMounts(manifest, app, section);
  checkSupported(options, app, mounts);
  checkIsolators('the pod', manifest.isolators, options.insecure);
  checkIsolators(`app "${app.name}"`, section.isolators, options.insecure);
  if (section.eventHandlers.length > 0)
    writeSync(2, `stage1: fly: the event handlers of app "${app.name}" are not run\n`);
  // In the host's network the service is where it listens.
  const metadataUrl = options.mdsToken && `http://127.0.0.1:${METADATA_PORT}/${options.mdsToken}`;
  const environment = appEnvironment(
    { name: app.name, environment: section.environment },
    metadataUrl,
  );
  const plan = planProcess(app.name, section, root, section.environment);

  writeEnterRecord(pod.folder, { process: plan, environment, chroot: root });
  mountHostFileSystems(root);
  mountNetworkFiles(join(pod.folder, POD_FILES.stage1Root), root, options);
  for (const each of outerFirst(mounts)) mountVolume(root, each);
  // The root alone: what is mounted in it stays as it is.
  if (app.readOnlyRootFS) mount('none', root, '', MS.BIND | MS.REMOUNT | MS.RDONLY | MS.NODEV);
  symlinkSync('fly', join(pod.folder, POD_FILES.flavor));
  if (supervision() !== 'none') joinSystemd(pod);
  writeFileSync(join(pod.folder, 'pgid'), `${process.pid}\n`, { mode: 0o640 });
  writeFileSync(join(pod.folder, POD_FILES.pid), `${process.pid}\n`, { mode: 0o640 });
  const ready = join(pod.folder, POD_FILES.ready);
  mkdirSync(dirname(ready), { recursive: true });
  symlinkSync('ready', ready);
  const told = lifecycle.notifies ? passNotification(root) : {};
  if (!lifecycle.notifies) notify('READY=1');

  await applyIsolators(section.isolators);
  chroot(root);
  process.setgroups?.([...plan.groups]);
  process.setgid?.(plan.gid);
  process.setuid?.(plan.uid);
  process.chdir(plan.workingDirectory);
  const own = Object.fromEntries(environment.map(({ name, value }) => [name, value]));
  const env = { ...own, ...told };
  execve(plan.exec[0] ?? '', plan.exec, env, [pod.lockFd]);
}

function onlyApp(apps: readonly RuntimeApp[]): RuntimeApp {
  const [app] = apps;
  if (app && apps.length === 1) return app;
  throw new Stage1Error(
    'unsupported',
    `the fly stage1 runs exactly one app and this pod has ${apps.length}: use another stage1`,
  );
}

/** So that no volume covers one that is mounted inside of it. */
function outerFirst(mounts: readonly AppMount[]): AppMount[] {
  const length = ({ target }: AppMount) => normalize(target).length;
  return mounts.toSorted((a, b) => length(a) - length(b));
}

function checkSupported(options: RunArguments, app: RuntimeApp, mounts: readonly AppMount[]): void {
  if (!options.net.includes('host'))
    writeSync(2, "stage1: fly: the app shares the host's network, whatever --net says\n");
  const implied = mounts.find((each) => each.implicit);
  if (implied)
    throw new Stage1Error(
      'app-setup',
      `no volume for the mount point at ${implied.target} of app "${app.name}": the fly stage1 needs --volume and --mount for it`,
    );
}

/** Nobody stays who could start the app again. */
function checkLifecycle(app: string, { restart }: Lifecycle): void {
  if (restart === 'no') return;
  throw new Stage1Error(
    'unsupported',
    `cannot restart app "${app}": the fly stage1 has nobody to do it; leave --restart out, or use another stage1`,
  );
}

/**
 * Puts the socket of this unit's manager where the app finds it: as the unit's main process it speaks for
 * itself. Returns the variables of sd_notify(3) and sd_watchdog_enabled(3).
 */
function passNotification(root: string): Record<string, string> {
  const socket = process.env['NOTIFY_SOCKET'];
  if (!socket) return {};
  // The name of an abstract one is the network's, which is the host's.
  const isFile = !socket.startsWith('@');
  if (isFile) bindInRoot(socket, statSync(socket), root, NOTIFY_SOCKET, 0);
  const { WATCHDOG_PID: pid, WATCHDOG_USEC: usec } = process.env;
  return {
    NOTIFY_SOCKET: isFile ? NOTIFY_SOCKET : socket,
    ...(pid && usec ? { WATCHDOG_PID: pid, WATCHDOG_USEC: usec } : {}),
  };
}

function mountHostFileSystems(root: string): void {
  for (const path of ['/dev', '/proc', '/sys'])
    bindInRoot(path, statSync(path), root, path, MS.REC);
  makeTarget(root, '/tmp', true);
  onPathOfRoot(root, '/tmp', (path) =>
    mount('tmpfs', path, 'tmpfs', MS.NOSUID | MS.NODEV, 'mode=1777'),
  );
}

/** The files that flags ask for; otherwise the image's stay. */
function mountNetworkFiles(stage1Root: string, root: string, modes: RunArguments): void {
  const files = [
    [modes.resolv, 'resolv.conf'],
    [modes.hosts, 'hosts'],
  ] as const;
  for (const [mode, name] of files) {
    if (mode !== 'stage0' && mode !== 'host') continue;
    const source = mode === 'host' ? `/etc/${name}` : join(stage1Root, `etc/rkt-${name}`);
    bindInRoot(source, statSync(source), root, `/etc/${name}`, 0);
    remountReadOnly(root, `/etc/${name}`);
  }
}

/** Unlike in other flavours, a volume is mounted without what is mounted below it unless it asks. */
function mountVolume(root: string, { volume, target, readOnly }: AppMount): void {
  if (volume.kind !== 'host')
    throw new Stage1Error(
      'unsupported',
      `cannot mount volume "${volume.name}": the fly stage1 has host volumes only`,
    );
  if (!existsSync(volume.source))
    throw new Stage1Error(
      'app-setup',
      `cannot mount volume "${volume.name}": ${volume.source} does not exist on this host`,
    );
  bindInRoot(volume.source, statSync(volume.source), root, target, volume.recursive ? MS.REC : 0);
  if (readOnly) remountReadOnly(root, target);
}

/** A scope of machine.slice unless this is a unit's process, and an entry with machined. */
function joinSystemd(pod: Stage1Pod): void {
  if (supervision() === 'scope')
    requestScope(`rkt-${pod.uuid}.scope`, `rkt pod ${pod.uuid}`).join();
  registerMachine(pod.uuid, pod.folder);
}
