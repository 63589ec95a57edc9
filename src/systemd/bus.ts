import {
  DBusError,
  Message,
  type MessageBus,
  MessageFlag,
  MessageType,
  systemBus,
} from 'dbus-next';
import { SystemdError } from './error.ts';

/** A method of a bus object. */
export interface BusMethod {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
}

/** A method call that somebody made to this process. */
export interface BusCall {
  /** The caller's unique name. */
  readonly sender: string;
  readonly path: string;
  /** Empty when the caller left it out. */
  readonly interface: string;
  readonly member: string;
  readonly signature: string;
  readonly body: unknown[];
  /** The caller puts up with being asked for a password. */
  readonly interactive: boolean;
}

/** What a call is answered: values by a signature, or an error by its name. */
export type BusAnswer =
  | { readonly signature: string; readonly body: unknown[] }
  | { readonly error: string; readonly message: string };

/** D-Bus specification, "Header Fields": ALLOW_INTERACTIVE_AUTHORIZATION. */
const ALLOW_INTERACTIVE = 4;

/** RequestName: the caller does not wait in a queue; it is the primary owner. */
const DO_NOT_QUEUE = 4;
const PRIMARY_OWNER = 1;

/** How long a call may take, in milliseconds; what takes longer ends with a signal of its own. */
const CALL_TIMEOUT = 25_000;

/**
 * The system bus. Everything that talks D-Bus goes through this class, which adds what the wire
 * library lacks: a time limit for every call, and an end to all of them when the connection ends.
 */
export class SystemBus {
  readonly #bus: MessageBus;
  readonly #abandon = new Set<(error: Error) => void>();
  #isNamed = false;
  #ended: SystemdError | undefined;
  /** Rejects when the connection ends, for those who wait for a signal. */
  readonly ended: Promise<never>;
  #tellEnd: (error: Error) => void = () => {};

  private constructor(bus: MessageBus) {
    this.#bus = bus;
    this.ended = new Promise((_, reject) => {
      this.#tellEnd = reject;
    });
    this.ended.catch(() => {});
    bus.on('error', (error: unknown) => this.#end(error));
    streamOf(bus)?.once('close', () => this.#end(undefined));
  }

  /** Throws SystemdError `no-bus` when nobody listens. */
  static async connect(): Promise<SystemBus> {
    const address =
      process.env['DBUS_SYSTEM_BUS_ADDRESS'] ?? 'unix:path=/run/dbus/system_bus_socket';
    const wire = systemBus({ busAddress: address } as Parameters<typeof systemBus>[0]);
    const bus = new SystemBus(wire);
    await bus.#limited(
      `connect to ${address}`,
      new Promise<void>((done) => wire.once('connect', () => done())),
    );
    return bus;
  }

  /** Calls a method; `body` matches `signature`, with 64-bit integers as BigInt. */
  async call(
    method: BusMethod,
    signature = '',
    body: unknown[] = [],
    timeout = CALL_TIMEOUT,
  ): Promise<unknown[]> {
    const what = `call ${method.interface}.${method.member}`;
    const reply = this.#bus.call(new Message({ ...method, signature, body }));
    const answer = await this.#limited(
      what,
      reply.catch((error: unknown) => {
        const reason = error instanceof DBusError ? error.text : error;
        throw new SystemdError('refused', `cannot ${what}: ${reason}`, error);
      }),
      timeout,
    );
    return answer?.body ?? [];
  }

  /**
   * Has the signals of an interface delivered, until the returned function is called. Those that
   * somebody else than the owner of `sender` sends to this process by its unique name, as everybody
   * may, are not.
   */
  async subscribe(
    match: Omit<BusMethod, 'destination'> & { sender: string },
    listener: (body: unknown[]) => void,
  ): Promise<() => void> {
    const rule = `type='signal',sender='${match.sender}',path='${match.path}',interface='${match.interface}',member='${match.member}'`;
    // Unique names are never given twice.
    const owners = new Map<string, Promise<boolean>>();
    const isOwner = (sender: string): Promise<boolean> => {
      const known = owners.get(sender) ?? this.#owns(sender, match.sender);
      owners.set(sender, known);
      return known;
    };
    const receive = (message: Message) => {
      if (
        message.type === MessageType.SIGNAL &&
        message.member === match.member &&
        message.interface === match.interface &&
        message.path === match.path
      )
        isOwner(message.sender).then((itIs) => {
          if (itIs) listener(message.body);
          else owners.delete(message.sender);
        });
    };
    this.#bus.on('message', receive);
    await this.call({ ...DBUS, member: 'AddMatch' }, 's', [rule]);
    return () => {
      this.#bus.off('message', receive);
      if (!this.#ended) this.call({ ...DBUS, member: 'RemoveMatch' }, 's', [rule]).catch(() => {});
    };
  }

  /** Whether a unique name is that of the owner of a well-known one. */
  async #owns(unique: string, name: string): Promise<boolean> {
    try {
      const [owner] = await this.call({ ...DBUS, member: 'GetNameOwner' }, 's', [name]);
      return owner === unique;
    } catch {
      return false;
    }
  }

  /** Takes a well-known name. Throws SystemdError `refused` when another process has it. */
  async requestName(name: string): Promise<void> {
    const [result] = await this.call({ ...DBUS, member: 'RequestName' }, 'su', [
      name,
      DO_NOT_QUEUE,
    ]);
    if (result !== PRIMARY_OWNER)
      throw new SystemdError('refused', `cannot take the bus name ${name}: another process has it`);
    this.#isNamed = true;
  }

  /** Gives a name up; every call that was sent to it has arrived when this settles. */
  async releaseName(name: string): Promise<void> {
    this.#isNamed = false;
    await this.call({ ...DBUS, member: 'ReleaseName' }, 's', [name]);
  }

  /** Has every method call that arrives answered; the handler never throws. */
  serve(handler: (call: BusCall) => Promise<BusAnswer>): void {
    this.#bus.addMethodHandler((message: Message) => {
      const call = {
        sender: message.sender,
        path: message.path,
        interface: message.interface ?? '',
        member: message.member,
        signature: message.signature,
        body: message.body,
        interactive: (message.flags & ALLOW_INTERACTIVE) !== 0,
      };
      handler(call).then((answer) => this.#reply(message, answer));
      return true;
    });
  }

  /**
   * Sends a signal to whoever listens, and may: the bus's policy is about the name, so that without one
   * nothing is sent.
   */
  emit(signal: Omit<BusMethod, 'destination'>, signature: string, body: unknown[]): void {
    if (this.#ended || !this.#isNamed) return;
    const { path, interface: iface, member } = signal;
    this.#bus.send(Message.newSignal(path, iface, member, signature, body));
  }

  #reply(call: Message, answer: BusAnswer): void {
    if (this.#ended || (call.flags & MessageFlag.NO_REPLY_EXPECTED) !== 0) return;
    this.#bus.send(
      'error' in answer
        ? new Message({
            type: MessageType.ERROR,
            // The library's types take it for a string, its code does not.
            replySerial: call.serial as unknown as string,
            destination: call.sender,
            errorName: answer.error,
            signature: 's',
            // What the bus takes for malformed ends the connection.
            body: [answer.message.replaceAll('\0', '')],
          })
        : Message.newMethodReturn(call, answer.signature, answer.body),
    );
  }

  close(): void {
    this.#ended ??= new SystemdError('no-bus', 'the connection to the system bus is closed');
    this.#bus.disconnect();
  }

  /** The promise, unless its time runs out or the connection ends first. */
  async #limited<T>(what: string, promise: Promise<T>, timeout = CALL_TIMEOUT): Promise<T> {
    if (this.#ended) throw this.#ended;
    let abandon: (error: Error) => void = () => {};
    const abandoned = new Promise<never>((_, reject) => {
      abandon = reject;
    });
    this.#abandon.add(abandon);
    const late = new SystemdError(
      'timeout',
      `cannot ${what}: no answer within ${timeout / 1000} s`,
    );
    const timer = setTimeout(() => abandon(late), timeout);
    try {
      return await Promise.race([promise, abandoned]);
    } finally {
      clearTimeout(timer);
      this.#abandon.delete(abandon);
    }
  }

  #end(cause: unknown): void {
    this.#ended ??= new SystemdError(
      'no-bus',
      'cannot use the system bus: is dbus running?',
      cause,
    );
    this.#tellEnd(this.#ended);
    for (const abandon of this.#abandon) abandon(this.#ended);
  }
}

const DBUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
};

/** The socket below the library, which does not tell when it is closed. */
function streamOf(bus: MessageBus): NodeJS.EventEmitter | undefined {
  const { _connection: connection } = bus as unknown as {
    _connection?: { stream?: NodeJS.EventEmitter };
  };
  return connection?.stream;
}
