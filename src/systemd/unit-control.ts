import { Variant } from 'dbus-next';
import type { SystemBus } from './bus.ts';
import { SystemdError } from './error.ts';

const MANAGER = {
  destination: 'org.freedesktop.systemd1',
  path: '/org/freedesktop/systemd1',
  interface: 'org.freedesktop.systemd1.Manager',
};

/** Units that are there as files: org.freedesktop.systemd1(5). */
export class UnitControl {
  readonly #bus: SystemBus;

  constructor(bus: SystemBus) {
    this.#bus = bus;
  }

  /** Has a unit started; does not wait until it is. */
  async start(name: string): Promise<void> {
    await this.#bus.call({ ...MANAGER, member: 'StartUnit' }, 'ss', [name, 'replace']);
  }

  /** Has a unit stopped; one that does not run is left as it is. */
  async stop(name: string): Promise<void> {
    if (await this.isActive(name))
      await this.#bus.call({ ...MANAGER, member: 'StopUnit' }, 'ss', [name, 'replace']);
  }

  /** Whether a unit runs, or has a start or a stop before it. */
  async isActive(name: string): Promise<boolean> {
    try {
      const [path] = await this.#bus.call({ ...MANAGER, member: 'GetUnit' }, 's', [name]);
      const [state] = await this.#bus.call(
        {
          destination: MANAGER.destination,
          path: String(path),
          interface: 'org.freedesktop.DBus.Properties',
          member: 'Get',
        },
        'ss',
        ['org.freedesktop.systemd1.Unit', 'ActiveState'],
      );
      return state instanceof Variant && !['inactive', 'failed'].includes(String(state.value));
    } catch (error) {
      if (error instanceof SystemdError && error.code === 'refused') return false;
      throw error;
    }
  }
}

/** Sends a signal to the leader, or to all processes, of a machine: org.freedesktop.machine1(5). */
export async function killMachine(
  bus: SystemBus,
  name: string,
  whom: 'leader' | 'all',
  signal: number,
): Promise<void> {
  const method = {
    destination: 'org.freedesktop.machine1',
    path: '/org/freedesktop/machine1',
    interface: 'org.freedesktop.machine1.Manager',
    member: 'KillMachine',
  };
  await bus.call(method, 'ssi', [name, whom, signal]);
}
