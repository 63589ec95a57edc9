import { describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE } from '../pods/host-box.ts';
import { BOX } from '../pods/image.ts';
import {
  answer,
  BUSES,
  call,
  installHelper,
  property,
  python,
  shell,
  useBus,
} from './installed.ts';

const host = await startHost();
installHelper(host);
/** Its pods are ready when its app says so, which it never does. */
const NOTIFIER = 'example.org/notifier';
importBox(host, {
  name: NOTIFIER,
  annotations: [{ name: 'appc.io/executor/supports-systemd-notify', value: 'true' }],
});

/** Ends with 7 when it is told to. */
const SCRIPT = 'trap "exit 7" TERM; while :; do sleep 0.1; done';

/** Starts a pod of the box by the API; gives its UUID and its object. */
async function runPod(script: string, image = BOX): Promise<{ uuid: string; path: string }> {
  const options = ['2', 'net', 'as', '1', 'none', 'arguments', 'aas', '1', '1', script];
  const [uuid, path] = await answer(host, 'RunPod', ['sasa{sv}', '', '1', image, ...options]);
  return { uuid: String(uuid), path: String(path) };
}

describe.each(BUSES)('with %s,', (bus) => {
  useBus(host, bus);

  test('a pod is started from a shell, in a scope of its own', async () => {
    // Not by systemd-run, which would be a unit to run in.
    const argv = ['rkt', 'run', '--net=none', BOX, '--', 'echo hello'];
    expect(await host.exec(argv)).toMatchObject({ code: 0, stdout: 'hello\n' });
  });

  describe('the helper', () => {
    test('is started by the bus and answers', async () => {
      await host.run(['systemctl', 'stop', 'rkt-helper.service']);
      expect(await answer(host, 'ListTransfers', ['a{sv}', '0'])).toEqual([[]]);
    });

    test('tells its version, as rkt version does', async () => {
      const told = await property(host, '/io/rkt/Rkt1', 'Manager', 'Version');
      expect(await host.ok(['rkt', 'version'])).toContain(String(told));
    });

    test('describes itself as dbus/io.rkt.Rkt1.xml does', async () => {
      const members = (xml: string) =>
        [
          ...xml.matchAll(
            /<(interface|method|signal|property|arg) name="([^"]*)"(?: type="([^"]*)")?/g,
          ),
        ]
          .map(([, kind, name, type]) => `${kind} ${name} ${type ?? ''}`)
          .filter((line) => !line.includes('freedesktop'));
      const { uuid, path } = await runPod('sleep 1000');
      const introspect = (object: string) =>
        host.ok(['gdbus', 'introspect', '--system', '--xml', '-d', 'io.rkt.Rkt1', '-o', object]);
      const served = [await introspect('/io/rkt/Rkt1'), await introspect(path)].flatMap(members);
      await call(host, 'StopPod', ['sa{sv}', uuid, '1', 'force', 'b', 'true']);
      const source = await host.ok(['cat', '/src/dbus/io.rkt.Rkt1.xml']);
      const [manager = [], pod = []] = source.split('</interface>').map(members);
      expect(served).toEqual(expect.arrayContaining([...manager, ...pod]));
    });

    test('lists objects in the folders of its tree', async () => {
      const tree = await host.ok(['busctl', 'tree', '--list', 'io.rkt.Rkt1']);
      expect(tree.split('\n')).toEqual(
        expect.arrayContaining(['/io/rkt/Rkt1', '/io/rkt/Rkt1/pod', '/io/rkt/Rkt1/image']),
      );
    });

    test('knows its image', async () => {
      const [images] = await answer(host, 'ListImages', ['a{sv}', '0']);
      const [id, name, , size, , path] =
        (images as string[][]).find((each) => each[1] === BOX) ?? [];
      expect(name).toBe(BOX);
      expect(Number(size)).toBeGreaterThan(1000);
      expect(await property(host, String(path), 'Image', 'ID')).toBe(id);
      expect(await answer(host, 'GetImage', ['s', BOX])).toEqual([path]);
      const [manifest] = await answer(host, 'GetManifest', [], {
        path: String(path),
        iface: 'Image',
      });
      expect(JSON.parse(String(manifest))).toMatchObject({ acKind: 'ImageManifest', name: BOX });
    });

    test('answers a client in Python, with all objects of the ObjectManager', async () => {
      const { uuid, path } = await runPod('sleep 1000');
      const { stdout, stderr } = await python(
        host,
        `objects, = call('GetManagedObjects', interface='org.freedesktop.DBus.ObjectManager')
print(objects['${path}']['io.rkt.Rkt1.Pod']['State'][1])
print(call('Ping', interface='org.freedesktop.DBus.Peer'))`,
      );
      expect(stdout, stderr).toBe('running\n()\n');
      await call(host, 'StopPod', ['sa{sv}', uuid, '1', 'force', 'b', 'true']);
    });
  });

  describe('a pod', () => {
    test('runs as a unit of its own, is told by its object, and stops', async () => {
      const { uuid, path } = await runPod('sleep 1000');
      expect(await property(host, path, 'Pod', 'State')).toBe('running');
      expect(await property(host, path, 'Pod', 'Unit')).toBe(`rkt-${uuid}.service`);
      const leader = await property(host, path, 'Pod', 'Leader');
      expect(await shell(host, `machinectl show -p Leader --value rkt-${uuid}`)).toBe(`${leader}`);
      expect(await property(host, path, 'Pod', 'Apps')).toMatchObject([
        ['box', expect.stringMatching(/^sha512-/), 'running', -1, {}],
      ]);
      await answer(host, 'Stop', ['a{sv}', '0'], { path, iface: 'Pod' });
      expect(await property(host, path, 'Pod', 'State')).toBe('exited');
      await answer(host, 'Remove', ['a{sv}', '0'], { path, iface: 'Pod' });
      const gone = await call(host, 'GetManifest', [], { path, iface: 'Pod' });
      expect(gone.stderr).toMatch(/no object|Unknown object/);
    });

    test('whose app ends with 0 without being ready is answered by its path', async () => {
      const { path } = await runPod('exit 0', NOTIFIER);
      expect(await property(host, path, 'Pod', 'State')).toBe('exited');
    });

    test('that ends otherwise before it is ready is told by its exit', async () => {
      const failure = await runPod('exit 7', NOTIFIER).catch(String);
      expect(failure).toMatch(
        /pod \S{36} ended before it was ready: app "notifier" ended with 7: see /,
      );
    });

    test('that cannot be started is told by the reason, and is still there', async () => {
      const [[id] = []] = (await answer(host, 'ListImages', ['a{sv}', '0']))[0] as string[][];
      const app = { exec: ['/bin/sh'], user: 'ghost', group: '0' };
      const manifest = {
        acVersion: '0.8.11',
        acKind: 'PodManifest',
        apps: [{ name: 'box', image: { id }, app }],
      };
      const words = ['sasa{sv}', JSON.stringify(manifest), '0', '1', 'net', 'as', '1', 'none'];
      const { stderr } = await call(host, 'RunPod', words);
      expect(stderr).toContain('could not be started: cannot find the user "ghost" of app "box"');
      const [, uuid = ''] = /Pod (\S{36}) could/.exec(stderr) ?? [];
      const path = `/io/rkt/Rkt1/pod/${uuid.replaceAll('-', '_')}`;
      expect(await property(host, path, 'Pod', 'State')).toBe('exited');
    });

    test('is prepared, found by the beginning of its UUID, and run later', async () => {
      const words = ['sasa{sv}', '', '1', BOX, '1', 'arguments', 'aas', '1', '1', SCRIPT];
      const [uuid, path] = await answer(host, 'PreparePod', words);
      expect(await property(host, String(path), 'Pod', 'State')).toBe('prepared');
      expect(await answer(host, 'GetPod', ['s', String(uuid).slice(0, 13)])).toEqual([path]);
      const options = ['2', 'net', 'as', '1', 'none', 'pod', 's', String(uuid)];
      await answer(host, 'RunPod', ['sasa{sv}', '', '0', ...options]);
      await answer(host, 'StopPod', ['sa{sv}', String(uuid), '0']);
      expect(await property(host, String(path), 'Pod', 'Apps')).toMatchObject([
        ['box', expect.anything(), 'exited', 7, {}],
      ]);
    });

    test('gets a signal by its object', async () => {
      const { uuid, path } = await runPod('sleep 1000');
      await answer(host, 'Kill', ['si', 'leader', '9'], { path, iface: 'Pod' });
      await host.ok(['rkt', 'status', '--wait', uuid]);
      expect(await property(host, path, 'Pod', 'State')).toBe('exited');
    });

    test('keeps running when the helper is killed, and is known to the next one', async () => {
      const { uuid, path } = await runPod('sleep 1000');
      await shell(
        host,
        'systemctl kill --signal=KILL rkt-helper.service; systemctl reset-failed rkt-helper',
      );
      await expect
        .poll(() => property(host, path, 'Pod', 'State'), { timeout: PATIENCE })
        .toBe('running');
      await answer(host, 'StopPod', ['sa{sv}', uuid, '1', 'force', 'b', 'true']);
    });

    test('tells of its unit, PID 1 and start by PropertiesChanged', async () => {
      const script = `
from jeepney import MatchRule, message_bus
from jeepney.io.blocking import Proxy
Proxy(message_bus, connection).AddMatch(MatchRule(type='signal', sender='io.rkt.Rkt1', member='PropertiesChanged'))
with open_dbus_connection(bus='SYSTEM') as other:
    options = {'net': ('as', ['none']), 'arguments': ('aas', [['sleep 1000']])}
    uuid, path = other.send_and_get_reply(message('RunPod', 'sasa{sv}', '', ['${BOX}'], options), timeout=60).body
import subprocess
leader = int(subprocess.check_output(['machinectl', 'show', '--property=Leader', '--value', 'rkt-' + uuid]))
known = {}
while known.get('Unit') != 'rkt-' + uuid + '.service' or known['Leader'] != leader or known['StartedTimestamp'] == 0:
    signal = connection.receive(timeout=30)
    if signal.header.fields.get(1) == path:
        known.update((name, value) for name, (_, value) in signal.body[1].items())
print(uuid)
`;
      const { stdout, stderr } = await python(host, script);
      const uuid = stdout.trimEnd();
      expect(uuid, stderr).not.toBe('');
      await answer(host, 'StopPod', ['sa{sv}', uuid, '1', 'force', 'b', 'true']);
    });

    test('is told of by signals from its coming to its going', async () => {
      const script = `
from jeepney import MatchRule, message_bus
from jeepney.io.blocking import Proxy
Proxy(message_bus, connection).AddMatch(MatchRule(type='signal', sender='io.rkt.Rkt1'))
call('ListPods', 'a{sv}', {})
seen = []
def until(wanted):
    while wanted not in seen:
        signal = connection.receive(timeout=60)
        if signal.header.message_type != MessageType.signal: continue
        member = signal.header.fields[3]
        if member == 'PropertiesChanged': member = signal.body[1]['State'][1]
        if member not in seen: seen.append(member)
import subprocess
def reply_to(*args):
    with open_dbus_connection(bus='SYSTEM') as other:
        return other.send_and_get_reply(message(*args), timeout=60).body
uuid, path = reply_to('RunPod', 'sasa{sv}', '', ['${BOX}'], {'net': ('as', ['none']), 'arguments': ('aas', [['sleep 1000']])})
until('running')
subprocess.run(['machinectl', 'kill', '--kill-who=leader', '--signal=KILL', 'rkt-' + uuid], check=True)
until('exited')
reply_to('RemovePod', 'sa{sv}', uuid, {})
until('PodRemoved')
print('PodNew' in seen, 'InterfacesAdded' in seen)
`;
      const { stdout, stderr } = await python(host, script);
      expect(stdout, stderr).toBe('True True\n');
    });
  });

  describe('a call that cannot be done', () => {
    const cases: readonly [what: string, call: string, error: string][] = [
      ['an unknown option', `'ListPods', 'a{sv}', {'colour': ('s', 'red')}`, 'InvalidArgument'],
      [
        'an option of another type',
        `'ListPods', 'a{sv}', {'states': ('s', 'x')}`,
        'InvalidArgument',
      ],
      ['a pod that is not there', `'GetPod', 's', 'ffffffff-ffff'`, 'NoSuchPod'],
      [
        'a prepared pod that is not there',
        `'RunPod', 'sasa{sv}', '', [], {'pod': ('s', 'ffffffff-ffff')}`,
        'NoSuchPod',
      ],
      ['an image that is not there', `'GetImage', 's', 'example.org/none'`, 'NoSuchImage'],
      ['a key that is not there', `'UntrustKey', 'ssa{sv}', '', 'abcd', {}`, 'NoSuchKey'],
      ['a transfer that is not there', `'CancelTransfer', 't', 1`, 'NoSuchTransfer'],
      ['a file that is to be fetched', `'Fetch', 'sa{sv}', '/etc/shadow', {}`, 'InvalidArgument'],
      ['an image like a flag', `'PreparePod', 'sasa{sv}', '', ['--debug'], {}`, 'InvalidArgument'],
      ['a pod of nothing', `'RunPod', 'sasa{sv}', '', [], {}`, 'InvalidArgument'],
      ['a key that is none', `'TrustKey', 'ssa{sv}', '', 'no key', {}`, 'Failed'],
    ];
    test.for(cases)('%s is told by its error, in one line', async ([, words, error]) => {
      const { stdout, stderr } = await python(
        host,
        `reply = connection.send_and_get_reply(message(${words}), timeout=60)
print(reply.header.fields[4])
print(reply.body[0])`,
      );
      const [name, ...lines] = stdout.trimEnd().split('\n');
      expect(name, stderr).toBe(`io.rkt.Rkt1.Error.${error}`);
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toMatch(/\.[jt]s|node:/);
    });

    test('an interface, a method or a property that is not there is told as D-Bus does', async () => {
      const { stdout, stderr } = await python(
        host,
        `print(call('Explode'))
print(call('ListPods', 's', 'x'))
print(call('ListPods', 'a{sv}', {}, path='/io/rkt/Rkt1/pod/nothing'))
print(call('Get', 'ss', MANAGER, 'Colour', interface='org.freedesktop.DBus.Properties'))`,
      );
      const errors = ['UnknownMethod', 'InvalidArgs', 'UnknownObject', 'UnknownProperty'];
      expect(stdout, stderr).toBe(
        errors.map((name) => `org.freedesktop.DBus.Error.${name}\n`).join(''),
      );
    });
  });
});
