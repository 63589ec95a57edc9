import { Variant } from 'dbus-next';
import type { SystemBus } from './bus.ts';
import { SystemdError } from './error.ts';

/** Who asks: by a unique name on the bus, or as a process (pid, start time in clock ticks, uid). */
export type Subject =
  | { readonly busName: string }
  | { readonly pid: number; readonly startTime: bigint; readonly uid: number };

/** A user may take as long to find the password. */
const PATIENCE = 5 * 60_000;

const ALLOW_USER_INTERACTION = 1;

/** `challenge`: they might, if polkit were allowed to ask for a password. */
export type Verdict = 'yes' | 'no' | 'challenge';

/**
 * Asks polkit whether somebody may do something: org.freedesktop.PolicyKit1.Authority,
 * CheckAuthorization. Root may without asking; where there is no polkit nobody else may.
 */
export async function checkAuthorization(
  bus: SystemBus,
  subject: Subject,
  action: string,
  interactive: boolean,
): Promise<Verdict> {
  if ((await uidOf(bus, subject)) === 0) return 'yes';
  const flags = interactive ? ALLOW_USER_INTERACTION : 0;
  try {
    const [answer] = await bus.call(
      {
        destination: 'org.freedesktop.PolicyKit1',
        path: '/org/freedesktop/PolicyKit1/Authority',
        interface: 'org.freedesktop.PolicyKit1.Authority',
        member: 'CheckAuthorization',
      },
      '(sa{sv})sa{ss}us',
      [describe(subject), action, {}, flags, ''],
      PATIENCE,
    );
    if (!Array.isArray(answer)) return 'no';
    if (answer[0] === true) return 'yes';
    return answer[1] === true && !interactive ? 'challenge' : 'no';
  } catch (error) {
    if (error instanceof SystemdError && error.code === 'refused') return 'no';
    throw error;
  }
}

/** The user that a subject acts as. */
export async function uidOf(bus: SystemBus, subject: Subject): Promise<number> {
  if ('uid' in subject) return subject.uid;
  const [uid] = await bus.call(
    {
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'GetConnectionUnixUser',
    },
    's',
    [subject.busName],
  );
  return Number(uid);
}

function describe(subject: Subject): [string, Record<string, Variant>] {
  if ('busName' in subject) return ['system-bus-name', { name: new Variant('s', subject.busName) }];
  return [
    'unix-process',
    {
      pid: new Variant('u', subject.pid),
      'start-time': new Variant('t', subject.startTime),
      uid: new Variant('i', subject.uid),
    },
  ];
}
