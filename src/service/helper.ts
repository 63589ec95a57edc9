import { openStore } from '../image/store.ts';
import { type BusCall, SystemBus } from '../systemd/bus.ts';
import { SystemdError } from '../systemd/error.ts';
import { checkAuthorization, type Subject } from '../systemd/polkit.ts';
import { type Service, serviceReady } from '../systemd/service.ts';
import { killMachine, UnitControl } from '../systemd/unit-control.ts';
import type { TrustRoots } from '../trust/types.ts';
import { Announcer } from './announce.ts';
import { apiObjects } from './api.ts';
import { Configured, type Opened } from './configured.ts';
import { dispatch } from './dispatch.ts';
import { ServiceError } from './error.ts';
import { Idle } from './idle.ts';
import { type Job, Jobs } from './jobs.ts';
import { type Backend, transfersOf } from './manager.ts';
import { type Caller, objectPath } from './objects.ts';
import { serveVarlink, type VarlinkServer } from './varlink.ts';
import type { Commands } from './varlink-command.ts';
import { DataWatch } from './watch.ts';

const NAME = 'io.rkt.Rkt1';

/** How often it is looked whether every call is answered, in milliseconds. */
const DRAIN = 5;

/** What the helper serves, and until when. */
export interface HelperOptions {
  /** Reads the configuration: the data folder. Throws ConfigError. */
  readonly dataDir: () => Promise<string>;
  readonly trust: TrustRoots;
  /** Milliseconds without work after which it ends. */
  readonly idle: number;
  /** The listening socket that systemd has passed, if there is one. */
  readonly socket: number | undefined;
  /** The commands that come by Varlink. */
  readonly commands: Commands;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Serves the API by D-Bus and Varlink, until there has been nothing to do for a while. */
export async function runHelper(options: HelperOptions): Promise<void> {
  const bus = await SystemBus.connect();
  let service: Service | undefined;
  const leaving = new AbortController();
  const tellState = () =>
    service?.status(configured.problem ?? jobsStatus(configured.opened?.backend.jobs));
  const configured = new Configured(
    options.dataDir,
    (dataDir) => openData(dataDir, options.trust, bus, tellState, leaving.signal),
    tellState,
  );
  let varlink: VarlinkServer | undefined;
  const idle = new Idle(
    options.idle,
    () =>
      (configured.opened?.backend.jobs.list().length ?? 0) > 0 || (varlink?.connections ?? 0) > 0,
  );
  const authorize = authorizer(bus);
  let unanswered = 0;
  bus.serve((call) => {
    unanswered++;
    return idle
      .during(async () =>
        dispatch(await configured.objects(), call, { authorize: authorize(busSubject(call)) }),
      )
      .finally(() => unanswered--);
  });
  await idle.during(async () => {
    await bus.subscribe(MACHINE_REMOVED, ([machine]) => {
      const watch = configured.opened?.watch;
      if (watch && /^rkt-/.test(String(machine)))
        idle.during(() => watch.machineEnded(String(machine))).catch(() => {});
    });
    // Signals need the name. What is called meanwhile waits for the rest.
    await bus.requestName(NAME);
    // What an earlier helper has left is taken up.
    await configured.objects();
  });
  if (options.socket !== undefined)
    varlink = serveVarlink(options.socket, {
      configured,
      commands: options.commands,
      during: (work) => idle.during(work),
      authorize: ({ pid, uid, startTime }, interactive) =>
        authorize({ subject: { pid, uid, startTime }, interactive }),
    });
  service = serviceReady();
  tellState();
  const told = new Promise<void>((resolve) => {
    options.signal.addEventListener('abort', () => resolve(), { once: true });
    if (options.signal.aborted) resolve();
  });
  try {
    await Promise.race([idle.over, told, bus.ended]);
    service.stopping();
    // Whoever calls from now on has another helper started. Who has called is answered, also when
    // systemd, which sees the name go, says in between that it is time to end. Without the name no
    // signal is sent: a transfer that ends meanwhile is left for the next helper to tell.
    leaving.abort();
    await bus.releaseName(NAME);
    do await Promise.race([new Promise((resolve) => setTimeout(resolve, DRAIN)), bus.ended]);
    while (unanswered > 0);
  } catch (error) {
    // A bus that ends has nobody who could be answered. The next one has another helper started,
    // and workers, which are units of their own, go on.
    if (!(error instanceof SystemdError && error.code === 'no-bus')) throw error;
  }
  configured.opened?.watch.close();
  varlink?.close();
  bus.close();
}

/** Serves a data folder from now on; transfers until `leaving`. */
async function openData(
  dataDir: string,
  trust: TrustRoots,
  bus: SystemBus,
  tellState: () => void,
  leaving: AbortSignal,
): Promise<Opened> {
  const jobs = new Jobs(new UnitControl(bus), dataDir);
  const backend: Backend = {
    dataDir,
    store: openStore(dataDir),
    trust,
    jobs,
    killPod: (uuid, whom, signal) => killMachine(bus, `rkt-${uuid}`, whom, signal),
  };
  const objects = apiObjects(backend);
  const announcer = new Announcer(bus, objects);
  const watch = new DataWatch(dataDir);
  announceData(watch, announcer);
  announceTransfers(jobs, watch, announcer);
  jobs.onStart(tellState);
  jobs.onEnd(tellState);
  const leave = () => jobs.leaveTransfers();
  if (leaving.aborted) leave();
  leaving.addEventListener('abort', leave);
  try {
    await jobs.recover();
  } catch (error) {
    leaving.removeEventListener('abort', leave);
    jobs.leave();
    watch.close();
    throw error;
  }
  return { backend, objects, watch };
}

function jobsStatus(jobs: Jobs | undefined): string {
  const running = jobs?.list().length ?? 0;
  if (running === 0) return 'Waiting for calls';
  return running === 1 ? '1 job runs' : `${running} jobs run`;
}

const MACHINE_REMOVED = {
  sender: 'org.freedesktop.machine1',
  path: '/org/freedesktop/machine1',
  interface: 'org.freedesktop.machine1.Manager',
  member: 'MachineRemoved',
};

interface Asking {
  readonly subject: Subject;
  /** They put up with being asked for a password. */
  readonly interactive: boolean;
}

function busSubject({ sender, member, interactive }: BusCall): Asking {
  // Nobody is asked for a password for looking around.
  return { subject: { busName: sender }, interactive: interactive && member !== 'Introspect' };
}

/** Asks polkit for those who are not root. */
function authorizer(bus: SystemBus): (asking: Asking) => Caller['authorize'] {
  return ({ subject, interactive }) =>
    async (action) => {
      const verdict = await checkAuthorization(bus, subject, action, interactive);
      if (verdict === 'challenge')
        throw new ServiceError(
          'InteractiveAuthorizationRequired',
          `you are not allowed to do that without authentication (${action})`,
        );
      if (verdict === 'no')
        throw new ServiceError('AccessDenied', `you are not allowed to do that (${action})`);
    };
}

function announceData(watch: DataWatch, announcer: Announcer): void {
  watch.on('podNew', (uuid) => announcer.added('Pod', uuid));
  watch.on('podChanged', (uuid) => announcer.changed('Pod', uuid));
  watch.on('podRemoved', (uuid) => announcer.removed('Pod', uuid));
  watch.on('imageNew', (key) => announcer.added('Image', key));
  watch.on('imageRemoved', (key) => announcer.removed('Image', key));
}

function announceTransfers(jobs: Jobs, watch: DataWatch, announcer: Announcer): void {
  // What has come is known before it is told that it has.
  jobs.onEnd(() => watch.look());
  const path = ({ id }: Job) => objectPath('transfer', String(id));
  jobs.onStart((job) => {
    if (!transfersOf(jobs).includes(job)) return;
    announcer.added('Transfer', job.id);
    const iface = 'io.rkt.Rkt1.Transfer';
    job.on('progress', () => announcer.changed('Transfer', job.id));
    job.on('stderr', (text) => {
      for (const line of text.split('\n').filter(Boolean))
        announcer.signal(path(job), iface, 'LogMessage', [INFO, line]);
    });
    job.once('ended', ({ result, stdout, message }) => {
      const [image] = stdout.split('\n');
      const details =
        result !== 'done' ? { message } : job.request.type === 'fetch' ? { image } : {};
      announcer.signal(path(job), iface, 'Finished', [result, details]);
      announcer.removed('Transfer', job.id, [result]);
    });
  });
}

/** syslog(3): LOG_INFO. */
const INFO = 6;
