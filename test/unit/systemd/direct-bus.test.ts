import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { DirectBus } from '../../../src/systemd/direct-bus.ts';
import { requestScope } from '../../../src/systemd/scope.ts';
import { text, textsIn, uint32 } from '../../../src/systemd/wire.ts';

const DBUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
};

// A bus that nobody else is on. It ends the connection of who sends what is malformed.
const folder = mkdtempSync(join(tmpdir(), 'rkt-bus-'));
const path = join(folder, 'socket');
const config = join(folder, 'config');
writeFileSync(
  config,
  `<busconfig><listen>unix:path=${path}</listen><auth>EXTERNAL</auth><policy context="default">
   <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
   </policy></busconfig>`,
);
const daemon = spawn(
  'dbus-daemon',
  [`--config-file=${config}`, '--nofork', '--nopidfile', '--print-address'],
  { stdio: ['ignore', 'pipe', 'ignore'] },
);
await once(daemon.stdout, 'data');
afterAll(async () => {
  daemon.kill();
  await once(daemon, 'exit');
  rmSync(folder, { recursive: true });
});

test('a call is answered, also when others were sent before', () => {
  const bus = new DirectBus(path);
  const ask = (name: string) =>
    bus.send({ ...DBUS, member: 'NameHasOwner', signature: 's', body: [text(name)] });
  ask('io.rkt.nobody');
  const serial = bus.send({ ...DBUS, member: 'GetId' });
  const { kind, body } = bus.wait(({ replyTo }) => replyTo === serial);
  bus.close();
  expect(kind).toBe('reply');
  expect(textsIn(body, 0)).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
});

test('a signal arrives, with what it tells', () => {
  const bus = new DirectBus(path);
  bus.subscribe("type='signal',member='NameOwnerChanged',arg0='io.rkt.test'");
  bus.send({
    ...DBUS,
    member: 'RequestName',
    signature: 'su',
    body: [text('io.rkt.test'), uint32(0)],
  });
  const { body } = bus.wait(({ member }) => member === 'NameOwnerChanged');
  bus.close();
  expect(textsIn(body, 0)).toEqual(['io.rkt.test', '', expect.stringMatching(/^:1\./)]);
});

test('who makes no scope is told of, with the reason', () => {
  const scope = requestScope('rkt-test.scope', 'a scope with an ä', path);
  expect(() => scope.join()).toThrow(
    expect.objectContaining({
      code: 'refused',
      message: expect.stringMatching(/^cannot start rkt-test\.scope: .*org\.freedesktop\.systemd1/),
    }),
  );
});

test('who is not answered does not wait for ever', () => {
  const bus = new DirectBus(path, 1);
  expect(() => bus.wait(({ member }) => member === 'Nothing')).toThrow(
    expect.objectContaining({ code: 'timeout' }),
  );
  bus.close();
});

test('where there is no bus that is said', () => {
  expect(() => new DirectBus(join(folder, 'nobody'))).toThrow(
    expect.objectContaining({ code: 'no-bus' }),
  );
});
