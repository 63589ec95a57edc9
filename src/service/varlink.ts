import { createServer, type Socket } from 'node:net';
import * as z from 'zod/mini';
import { hasHungUp, type Peer, peerOf } from '../os/peer.ts';
import { version } from '../os/version.ts';
import { asServiceError, ServiceError } from './error.ts';
import { type ApiObject, type ApiObjects, type Caller, ROOT } from './objects.ts';
import type { ArgumentSpec } from './spec.ts';
import { type CommandRunner, runCommand } from './varlink-command.ts';
import {
  defaultOf,
  INTERACTIVE,
  interfaceDescription,
  VARLINK_INTERFACE,
  VARLINK_METHODS,
  type VarlinkMethod,
} from './varlink-interface.ts';
import { receive, send, type VarlinkReply } from './varlink-protocol.ts';

/** Serves until it is closed. */
export interface VarlinkServer {
  readonly connections: number;
  close(): void;
}

interface Service extends CommandRunner {
  /** Work keeps the helper from ending. */
  readonly during: <T>(work: () => Promise<T>) => Promise<T>;
  readonly authorize: (peer: Peer, interactive: boolean) => Caller['authorize'];
}

/** Serves the API on a listening socket: varlink.org. */
export function serveVarlink(fd: number, service: Service): VarlinkServer {
  const sockets = new Set<Socket>();
  // Who has said all that they had to say still gets the answers.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    service
      .during(() => converse(socket, service))
      .catch(() => {})
      .finally(() => {
        sockets.delete(socket);
        socket.destroy();
      });
  });
  server.listen({ fd });
  return {
    get connections() {
      return sockets.size;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

const callSchema = z.object({
  method: z.string(),
  parameters: z.optional(z.record(z.string(), z.unknown())),
  more: z.optional(z.boolean()),
  oneway: z.optional(z.boolean()),
});
type Call = z.output<typeof callSchema>;

/** Answers one call after the other, until the caller has hung up or what comes is no call. */
async function converse(socket: Socket, service: Service): Promise<void> {
  const callers = callersOf(peerOf(socket), service);
  const gone = departureOf(socket);
  await receive(socket, async (message) => {
    const call = callSchema.parse(message);
    for await (const reply of replies(call, callers, service, gone))
      if (!call.oneway) await send(socket, reply);
  });
}

/** Whoever has said all that they had to say is looked for that often, in milliseconds. */
const LOOK = 1000;

/** Aborted when nobody is there any more to take an answer. */
function departureOf(socket: Socket): AbortSignal {
  const gone = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  socket.once('end', () => {
    const look = () => {
      if (hasHungUp(socket)) gone.abort();
    };
    timer = setInterval(look, LOOK);
    look();
  });
  socket.once('close', () => gone.abort());
  gone.signal.addEventListener('abort', () => clearInterval(timer));
  return gone.signal;
}

/** The caller, by whether they put up with being asked for a password. */
type Callers = (interactive: boolean) => Caller;

function callersOf(peer: Peer, { authorize }: Service): Callers {
  return (interactive) => {
    const ask = authorize(peer, interactive);
    // Who may connect is in group rkt: the socket's permissions say so.
    return { authorize: async (action, group) => (group ? undefined : ask(action)) };
  };
}

async function* replies(
  call: Call,
  callers: Callers,
  service: Service,
  gone: AbortSignal,
): AsyncGenerator<VarlinkReply> {
  try {
    const at = call.method.lastIndexOf('.');
    const [iface, name] = [call.method.slice(0, at), call.method.slice(at + 1)];
    const { [INTERACTIVE]: interactive = false, ...parameters } = call.parameters ?? {};
    if (typeof interactive !== 'boolean') throw new BadParameter(INTERACTIVE);
    const caller = callers(interactive);
    if (iface === 'org.varlink.service') yield serviceReply(name, parameters);
    else if (iface !== VARLINK_INTERFACE)
      yield failure('org.varlink.service.InterfaceNotFound', { interface: iface });
    else if (name === 'Command') {
      const more = call.more === true;
      yield* runCommand(commandLine(parameters), more, caller, service, gone);
    } else {
      const method = VARLINK_METHODS.get(name);
      yield method
        ? { parameters: await answer(method, parameters, caller, service) }
        : failure('org.varlink.service.MethodNotFound', { method: call.method });
    }
  } catch (error) {
    if (error instanceof BadParameter)
      yield failure('org.varlink.service.InvalidParameter', { parameter: error.message });
    else {
      const { code, message } = asServiceError(error);
      yield failure(`${VARLINK_INTERFACE}.${code}`, { message });
    }
  }
}

class BadParameter extends Error {}

function failure(error: string, parameters: Record<string, string>): VarlinkReply {
  return { error, parameters };
}

function serviceReply(name: string, parameters: Record<string, unknown>): VarlinkReply {
  const described = parameters['interface'];
  if (name === 'GetInfo')
    return {
      parameters: {
        vendor: 'rkt',
        product: 'rkt',
        version,
        url: '',
        interfaces: ['org.varlink.service', VARLINK_INTERFACE],
      },
    };
  if (name !== 'GetInterfaceDescription')
    return failure('org.varlink.service.MethodNotFound', { method: `org.varlink.service.${name}` });
  if (described === VARLINK_INTERFACE)
    return { parameters: { description: interfaceDescription() } };
  if (described === 'org.varlink.service')
    return { parameters: { description: SERVICE_DESCRIPTION } };
  return failure('org.varlink.service.InterfaceNotFound', { interface: String(described) });
}

/** varlink.org/Service: the interface that every service has. */
const SERVICE_DESCRIPTION = `interface org.varlink.service

method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)
method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
`;

async function answer(
  method: VarlinkMethod,
  parameters: Record<string, unknown>,
  caller: Caller,
  { configured }: Service,
): Promise<Record<string, unknown>> {
  const args = checkParameters(method, parameters);
  if (method.action) await caller.authorize(method.action, method.group);
  const object = objectOf(method, args, await configured.objects());
  if (method.member === undefined) return { ...object.properties() };
  return { ...(await object.call(method.member, args, caller)) };
}

function objectOf(
  method: VarlinkMethod,
  args: Record<string, unknown>,
  objects: ApiObjects,
): ApiObject {
  const path = method.onObject ? String(args['object']) : ROOT;
  const object = objects.find(path);
  if (object?.interface === method.interface) return object;
  const kind = method.interface.slice(method.interface.lastIndexOf('.') + 1);
  const codes = {
    Pod: 'NoSuchPod',
    Image: 'NoSuchImage',
    Transfer: 'NoSuchTransfer',
  } as const;
  const code = kind === 'Pod' || kind === 'Image' || kind === 'Transfer' ? codes[kind] : 'Failed';
  throw new ServiceError(code, `there is no ${kind.toLowerCase()} ${path}`);
}

/** The parameters by the kinds that the method has; those that have a default may be left out. */
function checkParameters(
  method: VarlinkMethod,
  parameters: Record<string, unknown>,
): Record<string, unknown> {
  const unknown = Object.keys(parameters).find(
    (name) => !method.in.some((each) => each.name === name),
  );
  if (unknown !== undefined) throw new BadParameter(unknown);
  return Object.fromEntries(
    method.in.map((spec) => {
      const schema = schemaOf(spec);
      const given = parameters[spec.name] ?? defaultOf(spec);
      const checked = schema.safeParse(given);
      if (!checked.success) throw new BadParameter(spec.name);
      return [spec.name, checked.data];
    }),
  );
}

function schemaOf({ type }: ArgumentSpec): z.ZodMiniType {
  if (type === 'a{sv}') return z.record(z.string(), z.unknown());
  if (type === 'as') return z.array(z.string());
  if (type === 's' || type === 'o') return z.string();
  return z.int();
}

const commandSchema = z.strictObject({ arguments: z.array(z.string()) });

function commandLine(parameters: Record<string, unknown>): string[] {
  const checked = commandSchema.safeParse(parameters);
  if (!checked.success || checked.data.arguments.some((word) => word.includes('\0')))
    throw new BadParameter('arguments');
  return checked.data.arguments;
}
