import { Variant } from 'dbus-next';
import type { BusMethod, SystemBus } from './bus.ts';
import { SystemdError } from './error.ts';

/** Transient services: org.freedesktop.systemd1(5). */

const MANAGER = {
  destination: 'org.freedesktop.systemd1',
  path: '/org/freedesktop/systemd1',
  interface: 'org.freedesktop.systemd1.Manager',
};

type Property = readonly [name: string, signature: string, value: unknown];

/** What a service of its own needs to run a pod: its main process is to become the pod. */
export interface PodService {
  readonly name: string;
  readonly description: string;
  /** The first element is an absolute path. */
  readonly argv: readonly string[];
  /** `NAME=VALUE`. */
  readonly environment: readonly string[];
}

/** Starts a service in machine.slice; settles when it is ready, throws `job-failed` when it fails. */
export async function startPodService(bus: SystemBus, service: PodService): Promise<void> {
  await startUnit(bus, service.name, [
    ['Description', 's', service.description],
    ['Slice', 's', 'machine.slice'],
    ['Type', 's', 'notify'],
    ['NotifyAccess', 's', 'all'],
    ['Delegate', 'b', true],
    ['KillMode', 's', 'mixed'],
    ['TimeoutStartUSec', 't', 0xffff_ffff_ffff_ffffn],
    ['CollectMode', 's', 'inactive-or-failed'],
    ['SyslogIdentifier', 's', 'rkt'],
    ['Environment', 'as', [...service.environment]],
    // A dollar sign would be a variable's.
    ['ExecStart', 'a(sasb)', [[service.argv[0], service.argv.map(literal), false]]],
  ]);
}

function literal(word: string): string {
  return word.replaceAll('$', '$$$$');
}

/** StartTransientUnit, and the end of the job that it queued. */
async function startUnit(
  bus: SystemBus,
  name: string,
  properties: readonly Property[],
): Promise<void> {
  const ended = new Map<unknown, unknown>();
  let wake = () => {};
  const stop = await bus.subscribe(
    {
      sender: MANAGER.destination,
      path: MANAGER.path,
      interface: MANAGER.interface,
      member: 'JobRemoved',
    },
    ([, job, , result]) => {
      ended.set(job, result);
      wake();
    },
  );
  try {
    const start: BusMethod = { ...MANAGER, member: 'StartTransientUnit' };
    const [job] = await bus.call(start, 'ssa(sv)a(sa(sv))', [
      name,
      'fail',
      properties.map(([key, signature, value]) => [key, new Variant(signature, value)]),
      [],
    ]);
    while (!ended.has(job)) {
      const signal = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await Promise.race([signal, bus.ended]);
    }
    if (ended.get(job) !== 'done')
      throw new SystemdError(
        'job-failed',
        `cannot start ${name}: its job ended as "${ended.get(job)}"`,
      );
  } finally {
    stop();
  }
}

/** A property of the unit that a process belongs to; `type` is the unit's (`Service`). */
export async function unitProperty(
  bus: SystemBus,
  pid: number,
  type: string,
  name: string,
): Promise<unknown> {
  const [path] = await bus.call({ ...MANAGER, member: 'GetUnitByPID' }, 'u', [pid]);
  const get = {
    destination: MANAGER.destination,
    path: String(path),
    interface: 'org.freedesktop.DBus.Properties',
    member: 'Get',
  };
  const [value] = await bus.call(get, 'ss', [`org.freedesktop.systemd1.${type}`, name]);
  return value instanceof Variant ? value.value : undefined;
}
