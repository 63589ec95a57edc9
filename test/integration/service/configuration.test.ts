// A file in /etc/rkt that is bad: the helper starts all the same, and tells.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MESSAGE_IDS } from '../../../src/systemd/journal.ts';
import { startHost } from '../../lib/host.ts';
import { call, installHelper, property, python, shell, varlink } from './installed.ts';

const host = await startHost();
installHelper(host);

const FILE = '/etc/rkt/paths.d/mine.json';
const WRONG = `bad configuration ${FILE}: not JSON`;

// One helper lasts for a test, however slow the machine.
beforeAll(() =>
  shell(
    host,
    `mkdir -p /run/systemd/system/rkt-helper.service.d
     printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/rkt helper --idle=10m\\n' > /run/systemd/system/rkt-helper.service.d/idle.conf
     systemctl daemon-reload`,
  ),
);
beforeEach(async () => {
  await host.run(['systemctl', 'stop', 'rkt-helper.service']);
  await host.writeFile(FILE, '{ "rktKind": "paths", secret }\n');
});
afterEach(async () => {
  await host.ok(['rm', '-f', FILE]);
});

const helperPid = () => shell(host, 'systemctl show -P MainPID rkt-helper.service');

describe('on the bus', () => {
  test('calls fail with the file and what is wrong with it, by name', async () => {
    const { stdout } = await python(
      host,
      `for member, args in [('ListPods', ('a{sv}', {})), ('Fetch', ('sa{sv}', 'example.org/x', {})), ('CancelTransfer', ('t', 1))]:
    reply = connection.send_and_get_reply(message(member, *args), timeout=60)
    print(reply.header.fields[4], reply.body[0])
properties = dict(path=ROOT + '/pod/aa', interface='org.freedesktop.DBus.Properties')
print(call('GetAll', 's', 'io.rkt.Rkt1.Pod', **properties))
print(call('GetManagedObjects', interface='org.freedesktop.DBus.ObjectManager'))`,
    );
    const name = 'io.rkt.Rkt1.Error.BadConfiguration';
    const told = `${name} ${WRONG}`;
    expect(stdout.trimEnd().split('\n')).toEqual([told, told, told, name, name]);
  });

  test('what needs no configuration is answered', async () => {
    expect(await property(host, '/io/rkt/Rkt1', 'Manager', 'Version')).toMatch(/^\d/);
    const tree = await host.ok(['busctl', 'introspect', 'io.rkt.Rkt1', '/io/rkt/Rkt1']);
    expect(tree).toContain('.RunPod');
  });

  test('who may not look is not told', async () => {
    const { stderr } = await call(host, 'ListPods', ['a{sv}', '0'], { user: 'tester' });
    expect(stderr).toMatch(/not allowed/);
    expect(stderr).not.toContain('rkt/paths.d');
  });

  test('the next call after it was mended works, with the same helper', async () => {
    expect((await call(host, 'ListPods', ['a{sv}', '0'])).stderr).toContain(WRONG);
    const pid = await helperPid();
    await host.writeFile(FILE, JSON.stringify({ rktKind: 'paths', rktVersion: 'v1' }));
    expect((await call(host, 'ListPods', ['a{sv}', '0'])).stderr).toBe('');
    expect(await helperPid()).toBe(pid);
    await host.writeFile(FILE, '{');
    expect((await call(host, 'ListPods', ['a{sv}', '0'])).stderr).toContain(WRONG);
  });

  test('the journal and systemctl status tell it too', async () => {
    await call(host, 'ListPods', ['a{sv}', '0']);
    const status = await host.ok(['systemctl', 'show', '-P', 'StatusText', 'rkt-helper.service']);
    expect(status).toBe(WRONG);
    const id = `MESSAGE_ID=${MESSAGE_IDS['configuration-bad']}`;
    const entries = await shell(
      host,
      `journalctl --sync; journalctl -q -o cat -u rkt-helper.service ${id} | sort -u`,
    );
    expect(entries).toBe(`Calls of the bus API fail: ${WRONG}`);
  });
});

describe('by Varlink', () => {
  const LIST = { method: 'io.rkt.Rkt1.ListPods' };

  test('calls fail with the file and what is wrong with it, and work after it was mended', async () => {
    const command = { method: 'io.rkt.Rkt1.Command', parameters: { arguments: ['list'] } };
    const failed = { error: 'io.rkt.Rkt1.BadConfiguration', parameters: { message: WRONG } };
    expect(await varlink(host, [LIST, command], 'member')).toEqual([failed, failed]);
    await host.ok(['rm', FILE]);
    expect(await varlink(host, [LIST], 'member')).toEqual([{ parameters: { pods: [] } }]);
  });

  test('a command of a member says it as that of root does', async () => {
    const { code, stderr } = await host.run(['rkt', 'list'], { user: 'member' });
    expect({ code, stderr }).toEqual({ code: 254, stderr: `rkt: list: ${WRONG}\n` });
  });
});
