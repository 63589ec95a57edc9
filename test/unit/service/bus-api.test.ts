import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { API } from '../../../src/service/api.generated.ts';
import { OPTIONS } from '../../../src/service/options.ts';
import { interfaceDescription, VARLINK_METHODS } from '../../../src/service/varlink-interface.ts';
import { split } from '../../../src/systemd/bus-values.ts';

const root = new URL('../../../', import.meta.url);

test('the code is made from dbus/io.rkt.Rkt1.xml as it is now', () => {
  const script = new URL('packaging/bus-api.mjs', root).pathname;
  expect(() =>
    execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' }),
  ).not.toThrow();
});

test('every method needs an action that polkit knows', () => {
  const policy = readFileSync(new URL('dbus/io.rkt.Rkt1.policy', root), 'utf8');
  const known = [...policy.matchAll(/action id="([^"]+)"/g)].map(([, id]) => id);
  for (const { methods } of API)
    for (const { name, action } of methods) expect(known, name).toContain(action);
});

test('whoever may connect to the Varlink socket may look, fetch and collect garbage, no more', () => {
  const open = API.flatMap(({ methods }) => methods).filter(({ group }) => group);
  const actions = open.map(({ name, action }) => (name === 'CollectGarbage' ? name : action));
  expect(new Set(actions)).toEqual(
    new Set(['io.rkt.Rkt1.inspect', 'io.rkt.Rkt1.fetch', 'CollectGarbage']),
  );
});

test('everything has a description, and each option is in it', () => {
  for (const { name, doc, methods, signals, properties } of API)
    for (const each of [{ name, doc }, ...methods, ...signals, ...properties])
      expect(each.doc, `${name}.${each.name}`).toBeTruthy();
  const docs = new Map(
    API.flatMap(({ methods }) => methods).map(({ name, doc = '' }) => [name, doc]),
  );
  docs.set('RunPod', `${docs.get('PreparePod')} ${docs.get('RunPod')}`);
  for (const [method, { shape }] of Object.entries(OPTIONS))
    for (const option of Object.keys(shape))
      expect(docs.get(method), method).toMatch(new RegExp(`[ (]${option}[ ,;(]`));
});

test('structures have a name for each field', () => {
  for (const { methods, properties } of API)
    for (const { type, fields = [] } of [
      ...methods.flatMap((method) => [...method.in, ...method.out]),
      ...properties,
    ]) {
      const inside = /^a?\((.*)\)$/.exec(type)?.[1];
      if (inside !== undefined) expect(fields, type).toHaveLength(split(inside).length);
    }
});

test('the bus policy lets everybody reach every interface of the API', () => {
  const policy = readFileSync(new URL('dbus/io.rkt.Rkt1.conf', root), 'utf8');
  for (const { name } of API) expect(policy).toContain(`send_interface="${name}"`);
});

test('the Varlink interface has each method of the bus, in the grammar of Varlink', () => {
  const lines = interfaceDescription()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines[0]).toBe('interface io.rkt.Rkt1');
  for (const line of lines.slice(1))
    expect(line).toMatch(
      /^(method|error) [A-Z][A-Za-z0-9]*\([A-Za-z0-9_:,?()[\] ]*\)( -> \([A-Za-z0-9_:,?()[\] ]*\))?$|^error [A-Z]\w* \(message: string\)$/,
    );
  const count = API.reduce((sum, { methods }) => sum + methods.length, 0);
  expect(VARLINK_METHODS.size).toBe(count + API.length - 1);
});
