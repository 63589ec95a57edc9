import { DirectBus } from './direct-bus.ts';
import { SystemdError } from './error.ts';
import { array, bytes, type Put, struct, text, textsIn, uint32, variant } from './wire.ts';

/** Units and machines of a start: org.freedesktop.systemd1(5), org.freedesktop.machine1(5). */

const SYSTEMD = {
  destination: 'org.freedesktop.systemd1',
  path: '/org/freedesktop/systemd1',
  interface: 'org.freedesktop.systemd1.Manager',
};
const MACHINED = {
  destination: 'org.freedesktop.machine1',
  path: '/org/freedesktop/machine1',
  interface: 'org.freedesktop.machine1.Manager',
};

/** A scope that is on its way. */
export interface RequestedScope {
  /** Waits until this process is in it. */
  join(): void;
}

/**
 * Has systemd move this process into a new scope of machine.slice, while it goes on with its work.
 *
 * @throws SystemdError, as `join` does
 */
export function requestScope(name: string, description: string, bus?: string): RequestedScope {
  const connection = new DirectBus(bus);
  // For every unit: a rule that names one gets none of them from dbus-broker 33.
  connection.subscribe(
    `type='signal',sender='${SYSTEMD.destination}',path='${SYSTEMD.path}',interface='${SYSTEMD.interface}',member='JobRemoved'`,
  );
  const serial = connection.send({
    ...SYSTEMD,
    member: 'StartTransientUnit',
    signature: 'ssa(sv)a(sa(sv))',
    body: [
      text(name),
      text('fail'),
      array(
        [
          property('Description', 's', text(description)),
          property('Slice', 's', text('machine.slice')),
          property('Delegate', 'b', uint32(1)),
          property('CollectMode', 's', text('inactive-or-failed')),
          property('PIDs', 'au', array([uint32(process.pid)])),
        ],
        8,
      ),
      array([], 8),
    ],
  });
  return {
    join() {
      try {
        // Everybody may send signals: those count that come from who answers.
        const systemd = connection.answer(serial).sender;
        const { body } = connection.wait(
          ({ kind, member, sender, body }) =>
            kind === 'signal' &&
            member === 'JobRemoved' &&
            sender === systemd &&
            jobOf(body).unit === name,
        );
        const { result } = jobOf(body);
        if (result !== 'done') throw new SystemdError('job-failed', `its job ended as "${result}"`);
      } catch (error) {
        throw failed(`start ${name}`, error);
      } finally {
        connection.close();
      }
    },
  };
}

/** What JobRemoved tells, `uoss`: a number, the job, its unit, and how it has ended. */
function jobOf(body: Buffer): { unit: string | undefined; result: string | undefined } {
  const [, unit, result] = textsIn(body, 4);
  return { unit, result };
}

function property(name: string, signature: string, value: Put): Put {
  return struct(text(name), variant(signature, value));
}

/** Makes this process known to machined as the machine `rkt-UUID`. */
export function registerMachine(uuid: string, root: string): void {
  const connection = new DirectBus();
  try {
    const serial = connection.send({
      ...MACHINED,
      member: 'RegisterMachine',
      signature: 'sayssus',
      body: [
        text(`rkt-${uuid}`),
        bytes(Buffer.from(uuid.replaceAll('-', ''), 'hex')),
        text('rkt'),
        text('container'),
        uint32(process.pid),
        text(root),
      ],
    });
    connection.answer(serial);
  } catch (error) {
    throw failed(`register rkt-${uuid} with machined`, error);
  } finally {
    connection.close();
  }
}

function failed(what: string, error: unknown): unknown {
  if (!(error instanceof SystemdError)) return error;
  return new SystemdError(error.code, `cannot ${what}: ${error.message}`, error.cause);
}
