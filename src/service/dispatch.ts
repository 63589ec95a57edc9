import { readFileSync } from 'node:fs';
import type { BusAnswer, BusCall } from '../systemd/bus.ts';
import { fromBus, toBus, typedVariant } from '../systemd/bus-values.ts';
import { API } from './api.generated.ts';
import { asServiceError, ServiceError } from './error.ts';
import { introspect, OBJECT_MANAGER, STANDARD } from './introspection.ts';
import { type ApiObject, type ApiObjects, type Caller, ROOT } from './objects.ts';
import type { ArgumentSpec, InterfaceSpec, MethodSpec } from './spec.ts';

const ERROR = 'io.rkt.Rkt1.Error';
const INSPECT = 'io.rkt.Rkt1.inspect';

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
    const object = await objects.find(call.path);
    if (!object) return unknown('UnknownObject', `there is no object ${call.path}`);
    const found = methodOf(object, call);
    if (!found) return unknown('UnknownMethod', `${call.path} has no method ${call.member}`);
    const { spec, method } = found;
    if (call.signature !== signatureOf(method.in))
      return unknown(
        'InvalidArgs',
        `${method.name} takes (${signatureOf(method.in)}), not (${call.signature})`,
      );
    if (method.action) await caller.authorize(method.action);
    const back = await object.call(spec.name, method.name, argumentsOf(method, call.body));
    return {
      signature: signatureOf(method.out),
      body: method.out.map(({ name, type, fields }) => toBus(type, back[name], fields)),
    };
  } catch (error) {
    const told = asServiceError(error);
    return { error: `${ERROR}.${told.code}`, message: told.message };
  }
}

/** The interfaces of an object, as the XML describes them. */
function specsOf(object: ApiObject): InterfaceSpec[] {
  return API.filter(({ name }) => object.interfaces.includes(name));
}

/** A method; the caller may leave the interface out. */
function methodOf(
  object: ApiObject,
  call: BusCall,
): { spec: InterfaceSpec; method: MethodSpec } | undefined {
  for (const spec of specsOf(object)) {
    if (call.interface !== '' && call.interface !== spec.name) continue;
    const method = spec.methods.find(({ name }) => name === call.member);
    if (method) return { spec, method };
  }
  return undefined;
}

function signatureOf(args: readonly ArgumentSpec[]): string {
  return args.map(({ type }) => type).join('');
}

function argumentsOf(method: MethodSpec, body: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(
    method.in.map(({ name, type, fields }, at) => [name, fromBus(type, body[at], fields)]),
  );
}

function unknown(name: string, message: string): BusAnswer {
  return { error: `org.freedesktop.DBus.Error.${name}`, message };
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
      return { signature: 's', body: [await introspectPath(objects, call.path)] };
    case 'GetManagedObjects':
      return call.path === ROOT ? managedObjects(objects, caller) : undefined;
    default:
      return propertiesAnswer(objects, call, caller);
  }
}

async function introspectPath(objects: ApiObjects, path: string): Promise<string> {
  const object = await objects.find(path);
  const below = path === '/' ? '/' : `${path}/`;
  // What pods there are is nobody's business who may not inspect them.
  const folders = [ROOT, `${ROOT}/pod`, `${ROOT}/image`, `${ROOT}/transfer`];
  const nodes = folders
    .filter((each) => each.startsWith(below))
    .map((each) => each.slice(below.length).split('/', 1)[0] ?? '');
  const specs = object ? specsOf(object) : [];
  return introspect(path === ROOT ? [OBJECT_MANAGER, ...specs] : specs, [...new Set(nodes)]);
}

async function managedObjects(objects: ApiObjects, caller: Caller): Promise<BusAnswer> {
  await caller.authorize(INSPECT);
  const managed: Record<string, unknown> = {};
  for (const object of await objects.all()) managed[object.path] = await allProperties(object);
  return { signature: 'a{oa{sa{sv}}}', body: [managed] };
}

/** The properties of an object by interface, each a dictionary for the wire. */
export async function allProperties(object: ApiObject): Promise<Record<string, unknown>> {
  const entries = specsOf(object).map(async (spec) => [
    spec.name,
    await propertiesOf(object, spec),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

async function propertiesOf(
  object: ApiObject,
  spec: InterfaceSpec,
): Promise<Record<string, unknown>> {
  const values = await object.properties(spec.name);
  return Object.fromEntries(
    spec.properties.map(({ name, type, fields }) => [name, variant(type, values[name], fields)]),
  );
}

async function propertiesAnswer(
  objects: ApiObjects,
  { path, member, body }: BusCall,
  caller: Caller,
): Promise<BusAnswer> {
  const object = await objects.find(path);
  if (!object) return unknown('UnknownObject', `there is no object ${path}`);
  const [iface, property] = body;
  const spec = specsOf(object).find(({ name }) => name === iface);
  if (!spec)
    return isStandard(iface)
      ? { signature: 'a{sv}', body: [{}] }
      : unknown('UnknownInterface', `${path} has no interface ${iface}`);
  if (path !== ROOT) await caller.authorize(INSPECT);
  if (member === 'GetAll') return { signature: 'a{sv}', body: [await propertiesOf(object, spec)] };
  const known = spec.properties.find(({ name }) => name === property);
  if (!known) return unknown('UnknownProperty', `${spec.name} has no property ${property}`);
  if (member === 'Set') return unknown('PropertyReadOnly', `${property} cannot be set`);
  const values = await object.properties(spec.name);
  return { signature: 'v', body: [variant(known.type, values[known.name], known.fields)] };
}

function isStandard(name: unknown): boolean {
  return [...STANDARD, OBJECT_MANAGER].some((spec) => spec.name === name);
}

function variant(type: string, value: unknown, fields: readonly string[] | undefined): unknown {
  if (value === undefined) throw new ServiceError('Failed', `a value of type ${type} is missing`);
  return typedVariant(type, value, fields);
}
