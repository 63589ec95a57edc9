import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Message, type MessageBus, MessageType, sessionBus } from 'dbus-next';
import { afterAll, expect, test } from 'vitest';
import { DirectBus } from '../../../src/systemd/direct-bus.ts';
import { requestScope } from '../../../src/systemd/scope.ts';
import {
  array,
  decodeMessage,
  type Put,
  struct,
  text,
  textsIn,
  uint32,
  variant,
} from '../../../src/systemd/wire.ts';

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
  const { kind, body } = bus.answer(serial);
  bus.close();
  expect(kind).toBe('reply');
  expect(textsIn(body, 0)).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
});

test('an error is the answer to the call that failed, and to no other', () => {
  const bus = new DirectBus(path);
  const toNobody = { ...DBUS, destination: 'io.rkt.nobody', member: 'GetId' };
  bus.send(toNobody);
  const { body } = bus.answer(bus.send({ ...DBUS, member: 'GetId' }));
  expect(textsIn(body, 0)).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
  expect(() => bus.answer(bus.send(toNobody))).toThrow(
    expect.objectContaining({ code: 'refused' }),
  );
  bus.close();
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

test('what somebody else says of the scope does not count', async () => {
  const address = { busAddress: `unix:path=${path}` } as Parameters<typeof sessionBus>[0];
  const [systemd, stranger] = [sessionBus(address), sessionBus(address)];
  await Promise.all([systemd, stranger].map((each) => once(each, 'connect')));
  await systemd.requestName('org.freedesktop.systemd1', 0);
  const removed = (to: string, result: string) =>
    new Message({
      type: MessageType.SIGNAL,
      destination: to,
      path: '/org/freedesktop/systemd1',
      interface: 'org.freedesktop.systemd1.Manager',
      member: 'JobRemoved',
      signature: 'uoss',
      body: [1, '/org/freedesktop/systemd1/job/1', 'rkt-test.scope', result],
    });
  const answered = new Promise<void>((resolve, reject) => {
    systemd.addMethodHandler((call: Message) => {
      const { sender = '' } = call;
      systemd.send(Message.newMethodReturn(call, 'o', ['/org/freedesktop/systemd1/job/1']));
      const [forged, true_] = [removed(sender, 'done'), removed(sender, 'failed')];
      const sent = (bus: MessageBus, signal: Message) => {
        bus.send(signal);
        // The bus has passed it on when it answers what came behind it.
        return bus.call(new Message({ ...DBUS, member: 'GetId' }));
      };
      sent(stranger, forged)
        .then(() => sent(systemd, true_))
        .then(() => resolve(), reject);
      return true;
    });
  });
  const scope = requestScope('rkt-test.scope', 'a scope', path);
  await answered;
  for (const each of [systemd, stranger]) each.disconnect();
  expect(() => scope.join()).toThrow('its job ended as "failed"');
});

/** A message as buses deliver them; a `call` has the number 1. */
function message(kind: number, fields: readonly [number, string, Put][], ...body: Put[]): Buffer {
  const content: number[] = [];
  for (const put of body) put(content);
  const head = ['l'.charCodeAt(0), kind, 0, 1];
  for (const number of [content.length, 1]) uint32(number)(head);
  const coded = fields.map(([code, type, value]) =>
    struct((out) => out.push(code), variant(type, value)),
  );
  array(coded, 8)(head);
  while (head.length % 8 !== 0) head.push(0);
  return Buffer.from([...head, ...content]);
}

/** A bus that delivers what it is given, whoever it is from: dbus-broker 33 passes on such signals. */
async function busWith(...messages: readonly Buffer[]) {
  const path = join(folder, 'fake');
  const server = createServer();
  server.listen(path);
  await once(server, 'listening');
  const delivered = once(server, 'connection').then(async ([caller]) => {
    await once(caller, 'data');
    server.close();
    await new Promise((resolve) =>
      caller.write(Buffer.concat([Buffer.from('OK x\r\n'), ...messages]), resolve),
    );
  });
  return { path, delivered };
}

test('a signal that says that it answers is no answer', async () => {
  const [job, serial] = [text('/org/freedesktop/systemd1/job/1'), 3];
  const removed = (sender: string, result: string) =>
    message(
      4,
      [
        [3, 's', text('JobRemoved')],
        [7, 's', text(sender)],
        [8, 'g', (out) => out.push(4, ...Buffer.from('uoss'), 0)],
      ],
      ...[uint32(1), job, text('rkt-test.scope'), text(result)],
    );
  const answer = (kind: number, sender: string) =>
    message(kind, [
      [5, 'u', uint32(serial)],
      [7, 's', text(sender)],
    ]);
  const bus = await busWith(
    ...[answer(4, ':1.66'), removed(':1.66', 'done')],
    ...[answer(2, ':1.1'), removed(':1.1', 'failed')],
  );
  const scope = requestScope('rkt-test.scope', 'a scope', bus.path);
  await bus.delivered;
  expect(() => scope.join()).toThrow('its job ended as "failed"');
});

test('who the bus itself refuses something does not wait for what can no longer come', async () => {
  const refused = (sender: string, reason: string) =>
    message(
      3,
      [
        [5, 'u', uint32(2)],
        [7, 's', text(sender)],
        [8, 'g', (out) => out.push(1, ...Buffer.from('s'), 0)],
      ],
      text(reason),
    );
  const bus = await busWith(
    refused(':1.66', 'says a stranger'),
    refused(DBUS.destination, 'too many rules'),
  );
  const connection = new DirectBus(bus.path);
  connection.subscribe("type='signal'");
  await bus.delivered;
  expect(() => connection.wait(({ kind }) => kind === 'signal')).toThrow(
    expect.objectContaining({ code: 'refused', message: 'too many rules' }),
  );
  connection.close();
});

test('a message of another byte order, or with fields that nobody knows, is passed over', () => {
  const body = [0, 0, 0, 0];
  const foreign = Buffer.from([
    'B'.charCodeAt(0),
    4,
    0,
    1,
    0,
    0,
    0,
    4,
    0,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    ...body,
  ]);
  const ours = Buffer.from(['l'.charCodeAt(0), 4, 0, 1, 4, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0]);
  const unknown = Buffer.from([99, 1, 'd'.charCodeAt(0), 0, 255, 255, 255, 255, ...body]);
  expect(decodeMessage(foreign)).toMatchObject({ kind: 'invalid', size: 20 });
  expect(decodeMessage(Buffer.concat([ours, unknown]))).toMatchObject({
    kind: 'invalid',
    size: 28,
  });
});

test('signals while it waits, as after a stop, neither end the connection nor make it wait longer', async () => {
  const ignore = () => {};
  process.on('SIGUSR2', ignore);
  const script = `for i in $(seq 150); do kill -USR2 ${process.pid}; sleep 0.2; done`;
  const signals = spawn('sh', ['-c', script]);
  await once(signals, 'spawn');
  const start = performance.now();
  const bus = new DirectBus(path, 1);
  expect(() => bus.wait(({ member }) => member === 'Nothing')).toThrow(
    expect.objectContaining({ code: 'timeout' }),
  );
  // They come for 30 s at least.
  expect(performance.now() - start).toBeLessThan(20_000);
  signals.kill('SIGKILL');
  await once(signals, 'exit');
  bus.close();
  process.off('SIGUSR2', ignore);
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
