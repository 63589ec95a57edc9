import { readFileSync } from 'node:fs';
import type { BusAnswer, BusCall } from '../systemd/bus.ts';
import { fromBus, toBus, typedVariant } from '../systemd/bus-values.ts';
import { API } from './api.generated.ts';
import { asServiceError, line, ServiceError } from './error.ts';
import { introspect, OBJECT_MANAGER, STANDARD } from './introspection.ts';
import { type ApiObject, type ApiObjects, type Caller, INSPECT, ROOT } from './objects.ts';
import type { ArgumentSpec, InterfaceSpec, MethodSpec } from './spec.ts';

const ERROR = 'io.rkt.Rkt1.Error';

/**
 * Answers a method call on the bus from the objects of the API. It never throws, and what went
 * wrong is told by an error of ours, or of the D-Bus specification for what is not there.
 */
export async function dispatch(
  objects: ApiObjects,
  call: BusCall,
  caller: Caller,
): Promise<BusAnswer> {
  try {
    const standard = await standardAnswer(objects, call, caller);
    if (standard) return standard;
    const object = objects.find(call.path);
    if (!object) return unknown('UnknownObject', `there is no object ${call.path}`);
    const method = methodOf(object, call);
    if (!method) return unknown('UnknownMethod', `${call.path} has no method ${call.member}`);
    if (call.signature !== signatureOf(method.in))
      return unknown(
        'InvalidArgs',
        `${method.name} takes (${signatureOf(method.in)}), not (${call.signature})`,
      );
    if (method.action) await caller.authorize(method.action, method.group);
    const back = await object.call(method.name, argumentsOf(method, call.body), caller);
    return {
      signature: signatureOf(method.out),
      body: method.out.map(({ name, type, fields }) => toBus(type, back[name], fields)),
    };
  } catch (error) {
    const told = asServiceError(error);
    return { error: errorName(told), message: told.message };
  }
}

/** The interface of an object, as the XML describes it. */
export function specOf({ interface: wanted }: ApiObject): InterfaceSpec {
  const spec = API.find(({ name }) => name === wanted);
  if (!spec) throw new ServiceError('Failed', `there is no interface ${wanted}`);
  return spec;
}

/** A method; the caller may leave the interface out. */
function methodOf(object: ApiObject, call: BusCall): MethodSpec | undefined {
  if (call.interface !== '' && call.interface !== object.interface) return undefined;
  return specOf(object).methods.find(({ name }) => name === call.member);
}

function signatureOf(args: readonly ArgumentSpec[]): string {
  return args.map(({ type }) => type).join('');
}

function argumentsOf(method: MethodSpec, body: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(
    method.in.map(({ name, type, fields }, at) => [name, fromBus(type, body[at], fields)]),
  );
}

/** The name of an error on the bus: ours, or systemd's for what a password would help. */
function errorName({ code }: ServiceError): string {
  return code === 'InteractiveAuthorizationRequired'
    ? `org.freedesktop.DBus.Error.${code}`
    : `${ERROR}.${code}`;
}

function unknown(name: string, message: string): BusAnswer {
  return { error: `org.freedesktop.DBus.Error.${name}`, message: line(message) };
}

async function standardAnswer(
  objects: ApiObjects,
  call: BusCall,
  caller: Caller,
): Promise<BusAnswer | undefined> {
  const spec = [...STANDARD, OBJECT_MANAGER].find(
    ({ name, methods }) =>
      (call.interface === name || call.interface === '') &&
      methods.some((method) => method.name === call.member),
  );
  const method = spec?.methods.find(({ name }) => name === call.member);
  if (!spec || !method) return undefined;
  if (call.signature !== signatureOf(method.in))
    return unknown('InvalidArgs', `${method.name} takes (${signatureOf(method.in)})`);
  switch (call.member) {
    case 'Ping':
      return { signature: '', body: [] };
    case 'GetMachineId':
      return { signature: 's', body: [readFileSync('/etc/machine-id', 'utf8').trim()] };
    case 'Introspect':
      return { signature: 's', body: [await introspectPath(objects, call.path, caller)] };
    case 'GetManagedObjects':
      return call.path === ROOT ? managedObjects(objects, caller) : undefined;
    default:
      return propertiesAnswer(objects, call, caller);
  }
}

async function introspectPath(objects: ApiObjects, path: string, caller: Caller): Promise<string> {
  const object = objects.find(path);
  const below = path === '/' ? '/' : `${path}/`;
  const folders = [`${ROOT}/pod`, `${ROOT}/image`, `${ROOT}/transfer`];
  const paths = [ROOT, ...folders];
  if (folders.includes(path)) paths.push(...(await visiblePaths(objects, caller)));
  const nodes = paths
    .filter((each) => each.startsWith(below))
    .map((each) => each.slice(below.length).split('/', 1)[0] ?? '');
  const specs = object ? [specOf(object)] : [];
  return introspect(path === ROOT ? [OBJECT_MANAGER, ...specs] : specs, [...new Set(nodes)]);
}

/** What pods there are is nobody's business who may not inspect them. */
async function visiblePaths(objects: ApiObjects, caller: Caller): Promise<string[]> {
  try {
    await caller.authorize(INSPECT);
    return objects.all().map(({ path }) => path);
  } catch {
    return [];
  }
}

async function managedObjects(objects: ApiObjects, caller: Caller): Promise<BusAnswer> {
  await caller.authorize(INSPECT);
  const managed = objects.all().map((object) => [object.path, interfacesOf(object)]);
  return { signature: 'a{oa{sa{sv}}}', body: [Object.fromEntries(managed)] };
}

/** An object's interfaces with their properties, for the wire: `a{sa{sv}}`. */
export function interfacesOf(object: ApiObject): Record<string, Record<string, unknown>> {
  return { [object.interface]: wireProperties(object) };
}

/** The properties of an object, for the wire: `a{sv}`. */
export function wireProperties(object: ApiObject): Record<string, unknown> {
  const values = object.properties();
  return Object.fromEntries(
    specOf(object).properties.map(({ name, type, fields }) => [
      name,
      variant(type, values[name], fields),
    ]),
  );
}

async function propertiesAnswer(
  objects: ApiObjects,
  { path, member, body }: BusCall,
  caller: Caller,
): Promise<BusAnswer> {
  const object = objects.find(path);
  if (!object) return unknown('UnknownObject', `there is no object ${path}`);
  const [iface, property] = body;
  if (iface !== object.interface && iface !== '')
    return isStandard(iface) && member === 'GetAll'
      ? { signature: 'a{sv}', body: [{}] }
      : unknown('UnknownInterface', `${path} has no property of interface ${iface}`);
  if (path !== ROOT) await caller.authorize(INSPECT, true);
  if (member === 'GetAll') return { signature: 'a{sv}', body: [wireProperties(object)] };
  const known = specOf(object).properties.find(({ name }) => name === property);
  if (!known) return unknown('UnknownProperty', `${path} has no property ${property}`);
  if (member === 'Set') return unknown('PropertyReadOnly', `${property} cannot be set`);
  const value = object.properties()[known.name];
  return { signature: 'v', body: [variant(known.type, value, known.fields)] };
}

function isStandard(name: unknown): boolean {
  return [...STANDARD, OBJECT_MANAGER].some((spec) => spec.name === name);
}

function variant(type: string, value: unknown, fields: readonly string[] | undefined): unknown {
  if (value === undefined) throw new ServiceError('Failed', `a value of type ${type} is missing`);
  return typedVariant(type, value, fields);
}
