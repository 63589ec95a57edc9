import { describe, expect, onTestFinished, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE } from '../pods/host-box.ts';
import { BOX } from '../pods/image.ts';
import { BUSES, call, installHelper, python, shell, useBus, varlink } from './installed.ts';

const host = await startHost();
installHelper(host);
/** Its pods are ready when its app says so, which it never does. */
const NOTIFIER = 'example.org/notifier';
importBox(host, {
  name: NOTIFIER,
  annotations: [{ name: 'appc.io/executor/supports-systemd-notify', value: 'true' }],
});

/** A call of each method, as Python has it. */
const CALLS: Readonly<Record<string, string>> = {
  ListPods: "'a{sv}', {}",
  GetPod: "'s', 'aa'",
  PreparePod: `'sasa{sv}', '', ['${BOX}'], {}`,
  RunPod: `'sasa{sv}', '', ['${BOX}'], {}`,
  StopPod: "'sa{sv}', 'aa', {}",
  KillPod: "'ssi', 'aa', 'all', 9",
  RemovePod: "'sa{sv}', 'aa', {}",
  ListImages: "'a{sv}', {}",
  GetImage: `'s', '${BOX}'`,
  Fetch: "'sa{sv}', 'example.org/none', {}",
  RemoveImage: `'sa{sv}', '${BOX}', {}`,
  ListKeys: "'a{sv}', {}",
  TrustKey: "'ssa{sv}', '', 'key', {}",
  UntrustKey: "'ssa{sv}', '', 'ab', {}",
  CollectGarbage: "'a{sv}', {}",
  ListTransfers: "'a{sv}', {}",
  CancelTransfer: "'t', 1",
};

/** What an unprivileged user is told, by method. */
async function errorsFor(user: string): Promise<Record<string, string>> {
  const script = Object.entries(CALLS)
    .map(([method, args]) => `print('${method}', call('${method}', ${args}))`)
    .join('\n');
  const { stdout } = await python(host, script, user);
  return Object.fromEntries(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => [line.replace(/ .*/, ''), line.replace(/^\S+ /, '')]),
  );
}

const DENIED = /AccessDenied|InteractiveAuthorizationRequired/;

test('the table of calls has every method of the manager', async () => {
  const xml = await host.ok(['cat', '/src/dbus/io.rkt.Rkt1.xml']);
  const methods = xml.split('</interface>', 1)[0]?.matchAll(/<method name="(\w+)"/g) ?? [];
  expect(Object.keys(CALLS)).toEqual([...methods].map(([, name]) => name));
});

describe.each(BUSES)('on %s,', (bus) => {
  useBus(host, bus);

  for (const user of ['tester', 'member'])
    test(`${user} is denied every method`, async () => {
      const errors = await errorsFor(user);
      expect(Object.keys(errors)).toEqual(Object.keys(CALLS));
      for (const error of Object.values(errors)) expect(error).toMatch(DENIED);
    });

  test('an unprivileged user sees no pod, not even that there is one', async () => {
    const uuid = await host.ok(['rkt', 'prepare', BOX]);
    const path = `/io/rkt/Rkt1/pod/${uuid.replaceAll('-', '_')}`;
    const get = `'ss', 'io.rkt.Rkt1.Pod', 'State', path='${path}', interface='org.freedesktop.DBus.Properties'`;
    const { stdout } = await python(
      host,
      `print(call('Get', ${get}))
print(call('GetManifest', path='${path}', interface='io.rkt.Rkt1.Pod'))
print(call('GetManagedObjects', interface='org.freedesktop.DBus.ObjectManager'))
print('${uuid.slice(0, 8)}' in call('Introspect', path='/io/rkt/Rkt1/pod', interface='org.freedesktop.DBus.Introspectable')[0])`,
      'tester',
    );
    const lines = stdout.trimEnd().split('\n');
    for (const line of lines.slice(0, 3)) expect(line).toMatch(DENIED);
    expect(lines[3]).toBe('False');
    expect(await host.ok(['busctl', 'tree', '--list', 'io.rkt.Rkt1'])).toContain(path);
  });

  test('signals tell an unprivileged user nothing but that a transfer has ended', async () => {
    const { stdout, stderr } = await python(
      host,
      `import os, pwd
from jeepney import MatchRule, message_bus
from jeepney.io.blocking import Proxy
def listener(user):
    os.seteuid(pwd.getpwnam(user).pw_uid)
    bus = open_dbus_connection(bus='SYSTEM')
    os.seteuid(0)
    Proxy(message_bus, bus).AddMatch(MatchRule(type='signal', path_namespace='/io/rkt/Rkt1'))
    return bus
listeners = [listener('root'), listener('tester')]
call('PreparePod', 'sasa{sv}', '', ['${BOX}'], {})
call('Fetch', 'sa{sv}', 'docker://127.0.0.1:1/none', {})
for bus in listeners:
    members = []
    while 'TransferRemoved' not in members:
        fields = bus.receive(timeout=60).header.fields
        if fields.get(1, '').startswith('/io/rkt/Rkt1'): members.append(fields[3])
    print(*sorted(set(members)))`,
    );
    const [roots = '', testers] = stdout.trimEnd().split('\n');
    for (const member of ['PodNew', 'InterfacesAdded', 'TransferNew', 'Finished'])
      expect(roots.split(' '), stderr).toContain(member);
    expect(testers).toBe('TransferRemoved');
  });

  test('a rule of polkit allows a user what it says, and no more', async () => {
    await host.writeFile(
      '/etc/polkit-1/rules.d/10-rkt.rules',
      `polkit.addRule(function (action, subject) {
        if (action.id == 'io.rkt.Rkt1.inspect' && subject.user == 'allowed') return polkit.Result.YES;
      });`,
    );
    await shell(
      host,
      'id allowed || useradd -m allowed; chmod -R a+rX /etc/polkit-1/rules.d; systemctl restart polkit',
    );
    expect((await call(host, 'ListPods', ['a{sv}', '0'], { user: 'allowed' })).code).toBe(0);
    const stop = await call(host, 'CollectGarbage', ['a{sv}', '0'], { user: 'allowed' });
    expect(stop.stderr).toMatch(/not allowed/);
  });

  test('nobody else may take the name, or send what is not in the policy', async () => {
    const { stdout } = await python(
      host,
      `from jeepney import message_bus
from jeepney.io.blocking import Proxy
try:
    print(Proxy(message_bus, connection).RequestName('io.rkt.Rkt1'))
except Exception as error:
    print(error.name)
print(call('Ping', interface='com.example.Other'))`,
      'tester',
    );
    expect(stdout).toBe(
      'org.freedesktop.DBus.Error.AccessDenied\norg.freedesktop.DBus.Error.AccessDenied\n',
    );
  });

  test("a user's signals are not taken for those of systemd", async () => {
    const file = `/var/tmp/uuid-${bus}`;
    const flags = ['--detach', '--net=none', `--uuid-file-save=${file}`];
    const starting = host.start(['rkt', 'run', ...flags, NOTIFIER, '--', 'sleep 1000']);
    const machine = async () => `rkt-${await host.readFile(file).catch(String)}`;
    const machines = async () => (await host.exec(['machinectl', 'list', '--no-legend'])).stdout;
    await expect
      .poll(async () => (await machines()).includes(await machine()), { timeout: PATIENCE })
      .toBe(true);
    const unit = `${await machine()}.service`;
    const { stdout, stderr } = await python(
      host,
      `import subprocess
from jeepney import HeaderFields, message_bus, new_signal
from jeepney.io.blocking import Proxy
job = subprocess.check_output(['systemctl', 'show', '-P', 'Job', '${unit}'], text=True).strip()
systemd = DBusAddress('/org/freedesktop/systemd1', interface='org.freedesktop.systemd1.Manager')
for name in Proxy(message_bus, connection).ListNames()[0]:
    if name.startswith(':'):
        signal = new_signal(systemd, 'JobRemoved', 'uoss', (int(job), '/org/freedesktop/systemd1/job/' + job, '${unit}', 'done'))
        signal.header.fields[HeaderFields.destination] = name
        connection.send(signal)
print(int(job) > 0)`,
      'tester',
    );
    expect(stdout, stderr).toBe('True\n');
    await host.ok(['systemctl', 'kill', '--signal=KILL', unit]);
    expect(await starting.done).toMatchObject({ code: 254, stdout: '' });
  });

  test('where polkit is not there only root passes', async () => {
    await shell(host, 'systemctl mask --now polkit.service');
    onTestFinished(async () => {
      await shell(host, 'systemctl unmask polkit.service; systemctl start polkit');
    });
    const errors = await errorsFor('allowed');
    for (const error of Object.values(errors)) expect(error).toMatch(DENIED);
    expect((await call(host, 'ListPods', ['a{sv}', '0'])).code).toBe(0);
  });
});

describe('by Varlink', () => {
  const ask = (method: string, parameters: object = {}) => ({
    method: `io.rkt.Rkt1.${method}`,
    parameters,
  });

  test('a member of group rkt may look, and may not manage', async () => {
    const answers = await varlink(
      host,
      [
        ask('ListImages'),
        ask('ListPods'),
        ask('RemoveImage', { image: BOX }),
        ask('RunPod', { images: [BOX] }),
        ask('TrustKey', { prefix: '', key: 'key' }),
        ask('StopPod', { uuid: 'aa' }),
        ask('Fetch', { image: 'example.org/x', options: { 'insecure-options': ['image'] } }),
      ],
      'member',
    );
    expect(answers.slice(0, 2)).toEqual([
      { parameters: { images: expect.arrayContaining([expect.objectContaining({ name: BOX })]) } },
      { parameters: { pods: expect.any(Array) } },
    ]);
    for (const { error } of answers.slice(2))
      expect(error).toBe('io.rkt.Rkt1.InteractiveAuthorizationRequired');
    expect(answers).toHaveLength(7);
  });

  test('polkit asks for a password where the caller lets it', async () => {
    await host.writeFile(
      '/etc/polkit-1/rules.d/20-self.rules',
      `polkit.addRule(function (action, subject) {
        if (action.id == 'io.rkt.Rkt1.manage-images' && subject.user == 'member') return polkit.Result.AUTH_SELF;
      });`,
    );
    await shell(host, 'echo member:secret | chpasswd; systemctl restart polkit');
    onTestFinished(async () => {
      await shell(host, 'rm /etc/polkit-1/rules.d/20-self.rules; systemctl restart polkit');
    });
    const { stdout, stderr } = await host.run(['python3', '-'], {
      user: 'member',
      input: `import json, os, pty, socket, termios, time
def remove(more):
    other.sendall(json.dumps({'method': 'io.rkt.Rkt1.RemoveImage', 'parameters': {'image': 'example.org/none', **more}}).encode() + b'\\0')
def answer():
    text = b''
    while not text.endswith(b'\\0'): text += other.recv(4096)
    print(json.loads(text[:-1])['error'])
other = socket.socket(socket.AF_UNIX)
other.connect('/run/rkt/io.rkt.Rkt1')
remove({}), answer()
remove({'allowInteractiveAuthentication': True}), answer()
ready, notify = os.pipe()
os.set_inheritable(notify, True)
own = os.getpid()
child, terminal = pty.fork()
if child == 0: os.execlp('pkttyagent', 'pkttyagent', f'--process={own}', f'--notify-fd={notify}')
os.close(notify)
os.read(ready, 1)
remove({'allowInteractiveAuthentication': True})
text = b''
while b'Password: ' not in text: text += os.read(terminal, 4096)
# What is typed before it turns off the echo is thrown away.
while termios.tcgetattr(terminal)[3] & termios.ECHO: time.sleep(0.01)
os.write(terminal, b'secret\\n')
answer()
os.kill(child, 9)`,
    });
    expect(stdout, stderr).toBe(
      ['InteractiveAuthorizationRequired', 'AccessDenied', 'NoSuchImage']
        .map((name) => `io.rkt.Rkt1.${name}\n`)
        .join(''),
    );
  });

  test('somebody else cannot connect', async () => {
    await expect(varlink(host, [ask('ListPods')], 'tester')).rejects.toThrow(/Permission denied/);
  });

  test('tells what it is, in the words of the bus API', async () => {
    const [info, description] = await varlink(host, [
      { method: 'org.varlink.service.GetInfo' },
      {
        method: 'org.varlink.service.GetInterfaceDescription',
        parameters: { interface: 'io.rkt.Rkt1' },
      },
    ]);
    expect(info).toMatchObject({
      parameters: { product: 'rkt', interfaces: ['org.varlink.service', 'io.rkt.Rkt1'] },
    });
    expect(description).toMatchObject({
      parameters: { description: expect.stringContaining('method ListPods(options: ?object, ') },
    });
  });

  test('tells what is wrong with a call', async () => {
    const answers = await varlink(host, [
      ask('Explode'),
      { method: 'org.example.Other.Method' },
      ask('ListPods', { colour: 'red' }),
      ask('GetPod', { uuid: 7 }),
      ask('GetPod', { uuid: 'ffffffff-ffff' }),
      ask('PodGet', { object: '/io/rkt/Rkt1/pod/none' }),
    ]);
    expect(answers.map(({ error }) => error)).toEqual([
      'org.varlink.service.MethodNotFound',
      'org.varlink.service.InterfaceNotFound',
      'org.varlink.service.InvalidParameter',
      'org.varlink.service.InvalidParameter',
      'io.rkt.Rkt1.NoSuchPod',
      'io.rkt.Rkt1.NoSuchPod',
    ]);
  });
});

describe('rkt of a member of group rkt', () => {
  const as = (user: string, ...words: string[]) => host.run(['rkt', ...words], { user });

  test('lists as root does', async () => {
    for (const words of [
      ['list', '--full'],
      ['image', 'list', '--full'],
      ['trust', 'list'],
    ]) {
      const { code, stdout } = await as('member', ...words);
      expect(stdout).toBe((await host.run(['rkt', ...words])).stdout);
      expect(code).toBe(0);
    }
  });

  test('prints manifests and states, and fails as root does', async () => {
    const uuid = await host.ok(['rkt', 'prepare', BOX]);
    for (const words of [
      ['image', 'cat-manifest', BOX],
      ['status', uuid],
      ['status', 'ffff'],
    ]) {
      const { code, stdout, stderr } = await as('member', ...words);
      const roots = await host.run(['rkt', ...words]);
      expect({ code, stdout, stderr }).toEqual({
        code: roots.code,
        stdout: roots.stdout,
        stderr: roots.stderr,
      });
    }
  });

  test('collects garbage', async () => {
    expect((await as('member', 'gc', '--grace-period=24h')).code).toBe(0);
  });

  test('may not stop, remove or read what the helper could read', async () => {
    for (const words of [
      ['image', 'rm', BOX],
      ['rm', 'aa'],
      ['stop', 'aa'],
      ['fetch', '/etc/shadow'],
      ['--insecure-options=image', 'fetch', 'docker://localhost/x'],
      ['--dir=/tmp', 'list'],
      ['status', '--uuid-file=/etc/shadow'],
    ]) {
      const { code, stderr } = await as('member', ...words);
      expect(code).toBe(254);
      expect(stderr).toMatch(/not allowed|not on the network|needs root/);
    }
  });

  test('is what a user in no group is told to become, or root', async () => {
    // As the packages have it.
    await host.ok(['chmod', 'o=', '/var/lib/rkt']);
    onTestFinished(async () => {
      await host.ok(['chmod', 'o=rx', '/var/lib/rkt']);
    });
    for (const [words, why] of [
      [['list'], 'EACCES: permission denied, .*'],
      [['image', 'list'], '.*permission denied.*'],
      [['gc'], 'cannot run as unprivileged user'],
    ] as const) {
      const { code, stdout, stderr } = await as('tester', ...words);
      expect({ code, stdout }).toEqual({ code: 254, stdout: '' });
      const todo = 'be root, or a member of group rkt with rkt-helper.socket running';
      expect(stderr).toMatch(new RegExp(`^rkt: ${words.join(' ')}: ${why}: ${todo}\n$`));
      expect(stderr).not.toContain('needs root');
    }
    const { stderr } = await as('tester', '--debug', 'image', 'list');
    const [first, ...causes] = stderr.trimEnd().split('\n');
    expect(first).toMatch(
      /: permission denied: be root, or a member of group rkt with .* running$/,
    );
    expect(causes).toEqual([expect.stringMatching(/^ {2}└─EACCES: permission denied, [^:]*$/)]);
  });

  test('is asked for a password where there is a terminal', async () => {
    const line = ['rkt', 'image', 'rm', BOX];
    const { code, stdout } = await host.run(line, { user: 'member', tty: true });
    const { stderr } = await host.run(line, { user: 'member' });
    const told = 'rkt: image rm: you are not allowed to do that';
    // Nobody is there who could ask, but polkit was let ask.
    expect({ code, stdout: stdout.trim() }).toEqual({
      code: 254,
      stdout: `${told} (io.rkt.Rkt1.manage-images)`,
    });
    expect(stderr).toBe(`${told} without authentication (io.rkt.Rkt1.manage-images)\n`);
  });

  test('is told that the store is closed where the helper does not run a command', async () => {
    await host.ok(['chmod', 'o=', '/var/lib/rkt']);
    onTestFinished(async () => {
      await host.ok(['chmod', 'o=rx', '/var/lib/rkt']);
    });
    const { stderr } = await as('tester', 'image', 'export', BOX, '/tmp/box.aci');
    expect(stderr).toMatch(/^rkt: image export: .*: permission denied.*: it needs root\n$/);
  });

  test('is of no use to a command that the helper does not run', async () => {
    const { stderr } = await as('tester', 'prepare', BOX);
    expect(stderr).toBe('rkt: prepare: cannot run as unprivileged user\n');
  });
});
