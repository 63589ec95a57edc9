import { split } from '../systemd/bus-values.ts';
import { API } from './api.generated.ts';
import { SERVICE_ERRORS } from './error.ts';
import type { ArgumentSpec, InterfaceSpec, MethodSpec } from './spec.ts';

/** The API as a Varlink interface: varlink.org/Interface-Definition. */
export const VARLINK_INTERFACE = 'io.rkt.Rkt1';

/** A method as it is called by Varlink, and what it is on the bus. */
export interface VarlinkMethod extends Omit<MethodSpec, 'name'> {
  /** `ListPods`; those of other objects than the manager begin with what these are: `PodStop`. */
  readonly name: string;
  /** Undefined: it reads the object's properties. */
  readonly member: string | undefined;
  /** Whether the parameter `object` names the object: of all but the manager. */
  readonly onObject: boolean;
  /** The bus interface. */
  readonly interface: string;
}

/** The parameter by which a caller lets polkit ask for a password, as with systemd's own services. */
export const INTERACTIVE = 'allowInteractiveAuthentication';

const OBJECT: ArgumentSpec = { name: 'object', type: 'o' };

/** Every method, by its name. */
export const VARLINK_METHODS: ReadonlyMap<string, VarlinkMethod> = new Map(
  API.flatMap(methodsOf).map((method) => [method.name, method]),
);

function methodsOf(spec: InterfaceSpec): VarlinkMethod[] {
  const kind = spec.name.slice(spec.name.lastIndexOf('.') + 1);
  if (kind === 'Manager')
    return spec.methods.map((method) => ({
      ...method,
      member: method.name,
      onObject: false,
      interface: spec.name,
    }));
  const get = {
    name: `${kind}Get`,
    doc: `The properties of ${spec.name}.`,
    action: 'io.rkt.Rkt1.inspect',
    group: true,
    in: [OBJECT],
    out: spec.properties,
    member: undefined,
    onObject: true,
    interface: spec.name,
  };
  const others = spec.methods.map((method) => ({
    ...method,
    name: `${kind}${method.name}`,
    in: [OBJECT, ...method.in],
    member: method.name,
    onObject: true,
    interface: spec.name,
  }));
  return [get, ...others];
}

/** What a parameter is that the caller has left out; undefined when it must not be. */
export function defaultOf({ name, type }: ArgumentSpec): unknown {
  if (type === 'a{sv}') return {};
  if (type.startsWith('a')) return [];
  return name === 'manifest' ? '' : undefined;
}

/** The interface's description, for `varlinkctl introspect`. */
export function interfaceDescription(): string {
  const methods = [...VARLINK_METHODS.values()].map(
    ({ name, doc, in: given, out }) =>
      `${comment(doc)}method ${name}${parameters(given)} -> ${structure(out)}\n`,
  );
  return `# The API of rkt: io.rkt.Rkt1(5). With "${INTERACTIVE}" polkit may ask the caller's user for a
# password; without it a call that needs one fails with InteractiveAuthorizationRequired.
interface ${VARLINK_INTERFACE}

${methods.join('\n')}
# Runs a command line of rkt for the caller, as the command rkt does for those who are not root. With
# "more", what it prints comes as it goes on, and its exit status in the last answer.
method Command(arguments: []string, ${INTERACTIVE}: ?bool) -> (stdout: ?string, stderr: ?string, status: ?int)

# A call failed: the name says why, as on the bus.
${Object.entries(SERVICE_ERRORS)
  .map(([name, doc]) => `\n# ${doc}\nerror ${name} (message: string)\n`)
  .join('')}`;
}

function comment(doc: string | undefined): string {
  return doc === undefined ? '' : `# ${doc}\n`;
}

function parameters(given: readonly ArgumentSpec[]): string {
  const members = given.map((spec) => {
    const optional = defaultOf(spec) === undefined ? '' : '?';
    return `${spec.name}: ${optional}${typeOf(spec.type, spec.fields)}`;
  });
  return `(${[...members, `${INTERACTIVE}: ?bool`].join(', ')})`;
}

function structure(fields: readonly ArgumentSpec[]): string {
  const members = fields.map(({ name, type, fields: names }) => `${name}: ${typeOf(type, names)}`);
  return `(${members.join(', ')})`;
}

const SIMPLE: Readonly<Record<string, string>> = {
  s: 'string',
  o: 'string',
  b: 'bool',
  d: 'float',
  v: 'object',
};

function typeOf(type: string, names: readonly string[] = []): string {
  if (type === 'a{sv}') return 'object';
  if (type === 'a{ss}') return '[string]string';
  if (type.startsWith('a')) return `[]${typeOf(type.slice(1), names)}`;
  if (type.startsWith('('))
    return structure(
      split(type.slice(1, -1)).map((each, at) => ({ name: names[at] ?? '', type: each })),
    );
  return SIMPLE[type] ?? 'int';
}
