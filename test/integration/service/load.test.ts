import { expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE } from '../pods/host-box.ts';
import { BOX } from '../pods/image.ts';
import { answer, call, installHelper, property, python, shell, varlink } from './installed.ts';

const host = await startHost();
installHelper(host);
importBox(host);

const mainPid = () => shell(host, 'systemctl show -p MainPID --value rkt-helper');

test('200 calls at once are all answered, by the one helper', async () => {
  await call(host, 'ListPods', ['a{sv}', '0']);
  const pid = await mainPid();
  const { stdout, stderr } = await python(
    host,
    `import threading
from jeepney.io.blocking import Proxy
others = [open_dbus_connection(bus='SYSTEM') for _ in range(20)]
replies = []
def ten(other):
    for at in range(10):
        words = ('ListImages', 'a{sv}', {}) if at % 2 else ('GetPod', 's', 'ffff')
        replies.append(other.send_and_get_reply(message(*words), timeout=60).header.message_type)
threads = [threading.Thread(target=ten, args=(each,)) for each in others]
[each.start() for each in threads]
[each.join() for each in threads]
print(len(replies), replies.count(MessageType.method_return), replies.count(MessageType.error))`,
  );
  expect(stdout, stderr).toBe('200 100 100\n');
  expect(await mainPid()).toBe(pid);
});

test('clients that vanish in the middle of a call disturb nobody', async () => {
  await call(host, 'ListPods', ['a{sv}', '0']);
  const pid = await mainPid();
  await python(
    host,
    `for _ in range(20):
    with open_dbus_connection(bus='SYSTEM') as other:
        other.send(message('ListImages', 'a{sv}', {}))`,
  );
  await host.run(['sh', '-c', 'printf \'{"method":"io.rkt\' | socat - UNIX:/run/rkt/io.rkt.Rkt1']);
  expect(await answer(host, 'ListTransfers', ['a{sv}', '0'])).toEqual([[]]);
  expect(await mainPid()).toBe(pid);
});

test('malformed, odd and huge calls on the bus are refused or survived', async () => {
  await call(host, 'ListPods', ['a{sv}', '0']);
  const pid = await mainPid();
  const { stdout, stderr } = await python(
    host,
    `for body in [
    ('ListPods', 'a{sv}', {'states': ('v', ('v', ('s', 'x')))}),
    ('ListPods', 'a{sv}', {'__proto__': ('as', ['x'])}),
    ('ListPods', 'a{sv}', {'x' * 1000: ('ay', b'y' * 4000000)}),
    ('GetPod', 's', 'z' * 10000000),
    ('GetImage', 's', '../../../etc/shadow'),
    ('GetPod', 's', '../run'),
    ('KillPod', 'ssi', 'a', 'b', -5),
    ('CancelTransfer', 't', 2**64 - 1),
    ('Fetch', 'sa{sv}', 'a\\nb', {}),
    ('TrustKey', 'ssa{sv}', '../../x', 'key', {}),
]:
    print(call(*body))
for path in ['/', '/io', '/io/rkt/Rkt1/pod', '/io/rkt/Rkt1/pod/___', '/io/rkt/Rkt1/image/sha512_' + '0' * 64, '/io/rkt/Rkt1/transfer/0', '/__proto__']:
    print(call('Get', 'ss', 'io.rkt.Rkt1.Pod', 'State', path=path, interface='org.freedesktop.DBus.Properties'))`,
  );
  const lines = stdout.trimEnd().split('\n');
  expect(lines, stderr).toHaveLength(17);
  for (const line of lines)
    expect(line).toMatch(/^(io\.rkt\.Rkt1|org\.freedesktop\.DBus)\.Error\./);
  expect(await mainPid()).toBe(pid);
});

test('what is no call ends a Varlink connection, and the helper goes on', async () => {
  await call(host, 'ListPods', ['a{sv}', '0']);
  const pid = await mainPid();
  for (const text of ['not json\\0', '[]\\0', '{}\\0', '{"method":7}\\0'])
    await host.run(['sh', '-c', `printf '${text}' | socat - UNIX:/run/rkt/io.rkt.Rkt1`]);
  await host.run([
    'sh',
    '-c',
    'head -c 20000000 /dev/zero | tr "\\0" x | socat -u - UNIX:/run/rkt/io.rkt.Rkt1',
  ]);
  const [info] = await varlink(host, [{ method: 'org.varlink.service.GetInfo' }]);
  expect(info).toMatchObject({ parameters: { product: 'rkt' } });
  expect(await mainPid()).toBe(pid);
});

test('the helper ends without work, and leaves the pods and its name to the next one', async () => {
  const options = ['2', 'net', 'as', '1', 'none', 'arguments', 'aas', '1', '1', 'sleep 1000'];
  const [, path] = await answer(host, 'RunPod', ['sasa{sv}', '', '1', BOX, ...options]);
  await shell(
    host,
    `mkdir -p /run/systemd/system/rkt-helper.service.d
     printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/rkt helper --idle=100ms\\n' > /run/systemd/system/rkt-helper.service.d/idle.conf
     systemctl daemon-reload
     systemctl stop rkt-helper.service`,
  );
  expect(await property(host, String(path), 'Pod', 'State')).toBe('running');
  const state = () => shell(host, 'systemctl show -p ActiveState,Result rkt-helper.service');
  await expect.poll(state, { timeout: PATIENCE }).toBe('Result=success\nActiveState=inactive');
  // Calls that come while it ends are answered by it or by the next one.
  const { stdout, stderr } = await python(
    host,
    `import time
for at in range(30):
    time.sleep(0.07 + at * 0.003)
    print(call('ListTransfers', 'a{sv}', {}))`,
  );
  expect(stdout, stderr).toBe('([],)\n'.repeat(30));
  const [info] = await varlink(host, [{ method: 'org.varlink.service.GetInfo' }]);
  expect(info).toMatchObject({ parameters: { product: 'rkt' } });
  expect(await property(host, String(path), 'Pod', 'State')).toBe('running');
});
