// Writes src/service/api.generated.ts from dbus/io.rkt.Rkt1.xml, the single source of the bus API:
// node packaging/bus-api.mjs. With --check it only says whether the file is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Parser } from 'htmlparser2';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'dbus/io.rkt.Rkt1.xml');
const target = join(root, 'src/service/api.generated.ts');

const DOC = 'org.gtk.GDBus.DocString';
const FIELDS = 'io.rkt.Rkt1.Fields';
const ACTION = 'io.rkt.Rkt1.Action';
const GROUP = 'io.rkt.Rkt1.Group';
const EMITS = 'org.freedesktop.DBus.Property.EmitsChangedSignal';

/** The elements as a tree: name, attributes, children. */
function parse(xml) {
  const top = { name: '', attributes: {}, children: [] };
  const open = [top];
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        const element = { name, attributes, children: [] };
        open.at(-1).children.push(element);
        open.push(element);
      },
      onclosetag() {
        open.pop();
      },
    },
    { xmlMode: true },
  );
  parser.end(xml);
  return top.children[0];
}

const named = (element, name) => element.children.filter((child) => child.name === name);
const note = (element, name) =>
  named(element, 'annotation').find((each) => each.attributes.name === name)?.attributes.value;
const without = (object) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

function argument(element) {
  const { name, type } = element.attributes;
  return without({
    name,
    type,
    fields: note(element, FIELDS)?.split(','),
    doc: note(element, DOC),
  });
}

function describe(element) {
  const direction = (method, wanted) =>
    named(method, 'arg')
      .filter((arg) => arg.attributes.direction === wanted)
      .map(argument);
  return without({
    name: element.attributes.name,
    doc: note(element, DOC),
    methods: named(element, 'method').map((method) =>
      without({
        name: method.attributes.name,
        doc: note(method, DOC),
        action: note(method, ACTION),
        group: note(method, GROUP) === 'yes' || undefined,
        in: direction(method, 'in'),
        out: direction(method, 'out'),
      }),
    ),
    signals: named(element, 'signal').map((signal) =>
      without({
        name: signal.attributes.name,
        doc: note(signal, DOC),
        args: named(signal, 'arg').map(argument),
      }),
    ),
    properties: named(element, 'property').map((property) =>
      without({ ...argument(property), emits: note(property, EMITS) ?? 'true' }),
    ),
  });
}

/** The TypeScript type of a D-Bus type, structures as objects of their named fields. */
function typeOf(type, fields) {
  const [result, rest] = readType(type, fields);
  if (rest !== '') throw new Error(`bad type ${type}`);
  return result;
}

const SIMPLE = { s: 'string', o: 'string', b: 'boolean', d: 'number', v: 'unknown' };

function readType(type, fields) {
  const first = type[0];
  if ('ynqiuxt'.includes(first)) return ['number', type.slice(1)];
  if (SIMPLE[first]) return [SIMPLE[first], type.slice(1)];
  if (type.startsWith('a{sv}')) return ['Dictionary', type.slice(5)];
  if (type.startsWith('a{ss}')) return ['Readonly<Record<string, string>>', type.slice(5)];
  if (first === 'a') {
    const [item, rest] = readType(type.slice(1), fields);
    return [`readonly ${item}[]`, rest];
  }
  if (first !== '(') throw new Error(`bad type ${type}`);
  const members = [];
  let rest = type.slice(1);
  for (const field of fields) {
    const [member, more] = readType(rest);
    members.push(`readonly ${field}: ${member}`);
    rest = more;
  }
  return [`{ ${members.join('; ')} }`, rest.slice(1)];
}

const object = (args) =>
  args.length === 0
    ? 'Record<never, never>'
    : `{ ${args.map(({ name, type, fields }) => `readonly ${name}: ${typeOf(type, fields)}`).join('; ')} }`;

function types(interfaces) {
  const short = (name) => name.slice(name.lastIndexOf('.') + 1);
  return interfaces
    .map(({ name, methods, properties }) => {
      const lines = methods.map(
        (method) =>
          `  readonly ${method.name}: { readonly in: ${object(method.in)}; readonly out: ${object(method.out)} };\n`,
      );
      return `
/** What the methods of ${name} take and give. */
export interface ${short(name)}Methods {
${lines.join('')}}

/** The properties of ${name}. */
export interface ${short(name)}Properties {
${properties.map((each) => `  readonly ${each.name}: ${typeOf(each.type, each.fields)};\n`).join('')}}
`;
    })
    .join('');
}

const interfaces = named(parse(readFileSync(source, 'utf8')), 'interface').map(describe);
const text = `// Made from dbus/io.rkt.Rkt1.xml by packaging/bus-api.mjs: change that, and run it again.
import type { Dictionary, InterfaceSpec } from './spec.ts';
${types(interfaces)}
export const API: readonly InterfaceSpec[] = ${JSON.stringify(interfaces, undefined, 2)};
`;

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') === text) process.exit(0);
  console.error(
    'src/service/api.generated.ts is not made from dbus/io.rkt.Rkt1.xml: run node packaging/bus-api.mjs',
  );
  process.exit(1);
}
writeFileSync(target, text);
