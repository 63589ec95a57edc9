import { Variant } from 'dbus-next';

/**
 * D-Bus values as plain JavaScript and back. Structures become objects by the names of their fields,
 * where there are any, 64-bit integers become numbers, variants their values.
 */

/** A value as JavaScript has it. */
export function fromBus(type: string, value: unknown, fields?: readonly string[]): unknown {
  if (value instanceof Variant) return fromBus(value.signature, value.value);
  if (typeof value === 'bigint') return Number(value);
  if (type.startsWith('a{') && typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, fromBus(type.slice(3, -1), each)]),
    );
  if (type.startsWith('a') && Array.isArray(value))
    return value.map((each) => fromBus(type.slice(1), each, fields));
  if (type.startsWith('(') && Array.isArray(value)) {
    const types = split(type.slice(1, -1));
    const members = value.map((each, at) => fromBus(types[at] ?? '', each));
    return fields ? Object.fromEntries(fields.map((name, at) => [name, members[at]])) : members;
  }
  return value;
}

/** A value as the wire library wants it. */
export function toBus(type: string, value: unknown, fields?: readonly string[]): unknown {
  if (type === 'v') return variantOf(value);
  if (type === 't' || type === 'x') return BigInt(Math.trunc(Number(value)));
  if (type.startsWith('a{'))
    return Object.fromEntries(
      Object.entries(value ?? {}).map(([key, each]) => [key, toBus(type.slice(3, -1), each)]),
    );
  if (type.startsWith('a') && Array.isArray(value))
    return value.map((each) => toBus(type.slice(1), each, fields));
  if (type.startsWith('(')) {
    const members = membersOf(value, fields);
    return split(type.slice(1, -1)).map((each, at) => toBus(each, members[at]));
  }
  return value;
}

/** A variant of a type that is known. */
export function typedVariant(type: string, value: unknown, fields?: readonly string[]): Variant {
  return new Variant(type, toBus(type, value, fields));
}

/** The variant of a value by its kind: a whole number is `t`, a list of objects `a(…)`. */
function variantOf(value: unknown): Variant {
  const type = typeFor(value);
  return new Variant(type, toBus(type, value));
}

function typeFor(value: unknown): string {
  if (typeof value === 'boolean') return 'b';
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 ? 't' : 'd';
  if (Array.isArray(value)) return `a${value.length > 0 ? typeFor(value[0]) : 's'}`;
  if (typeof value === 'object' && value !== null) {
    const types = Object.values(value).map(typeFor);
    return types.every((type) => type === 's') ? 'a{ss}' : 'a{sv}';
  }
  return 's';
}

function membersOf(value: unknown, fields: readonly string[] | undefined): unknown[] {
  if (Array.isArray(value)) return value;
  const named = new Map(Object.entries(value ?? {}));
  return fields ? fields.map((name) => named.get(name)) : [...named.values()];
}

/** The complete types that a signature is made of. */
export function split(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length; ) {
    const end = endOf(signature, at);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

function endOf(signature: string, start: number): number {
  const first = signature.charAt(start);
  if (first === 'a') return endOf(signature, start + 1);
  if (first !== '(' && first !== '{') return start + 1;
  let depth = 0;
  for (let at = start; ; at++) {
    const char = signature.charAt(at);
    if (char === '(' || char === '{') depth++;
    if (char === ')' || char === '}') depth--;
    if (depth === 0 || char === '') return at + 1;
  }
}
