import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { makePki } from '../../unit/http/server.ts';
import { startGnupg } from '../../unit/trust/gnupg.ts';
import { packImage } from '../pods/image.ts';
import { answer, call, installHelper, python, shell } from './installed.ts';

const host = await startHost();
installHelper(host);
const gnupg = startGnupg();
const ann = gnupg.makeKey('ann');

/** An image that tar has to restore with all that an archive may hold. */
const FILES = {
  '/suid': { mode: 0o4755, uid: 12, gid: 34 },
  '/private/secret': { mode: 0o600, uid: 1000 },
} as const;

beforeAll(async () => {
  const script = new URL('./server.mjs', import.meta.url);
  await host.writeFile('/srv/server.mjs', readFileSync(script));
  const put = async (folder: string, name: string) => {
    const aci = readFileSync(packImage(folder, { name: `localhost/${name}`, files: FILES }));
    await host.writeFile(`/srv/${name}.aci`, aci);
    await host.writeFile(`/srv/gated/${name}.aci`, aci);
    return aci;
  };
  const folder = mkdtempSync(join(tmpdir(), 'rkt-service-'));
  const names = [
    'plain',
    'progress',
    'canceled',
    'killed',
    'worker',
    'answered',
    'left',
    'hung-up',
  ];
  for (const name of names) await put(folder, name);
  const aci = await put(folder, 'signed');
  await host.writeFile('/srv/signed.aci.asc', gnupg.sign(aci, ann));
  const pki = makePki(folder);
  for (const [name, path] of Object.entries(pki))
    await host.writeFile(`/srv/${name}.pem`, readFileSync(path));
  rmSync(folder, { recursive: true });
  await shell(
    host,
    `cp /srv/ca.pem /usr/local/share/ca-certificates/test.crt; update-ca-certificates
     systemd-run --unit=http node /srv/server.mjs /srv 8080
     systemd-run --unit=https node /srv/server.mjs /srv 443 /srv/cert.pem /srv/key.pem
     until curl -s http://127.0.0.1:8080/ && curl -s https://localhost/; do sleep 0.1; done`,
  );
});

/** What Python has to wait for signals, and to see the whole of a transfer. */
const WATCH = `
from jeepney import MatchRule, message_bus
from jeepney.io.blocking import Proxy
Proxy(message_bus, connection).AddMatch(MatchRule(type='signal', sender='io.rkt.Rkt1'))
INSECURE = {'insecure-options': ('as', ['http', 'image'])}
def fetch(url):
    with open_dbus_connection(bus='SYSTEM') as other:
        return other.send_and_get_reply(message('Fetch', 'sa{sv}', url, INSECURE), timeout=60).body
def signals():
    while True:
        signal = connection.receive(timeout=60)
        if signal.header.message_type == MessageType.signal:
            yield signal.header.fields[3], signal.header.fields[1], signal.body
def until_finished(path, seen=lambda member, body: None):
    for member, where, body in signals():
        if where == path: seen(member, body)
        if member == 'Finished' and where == path: return body
`;

describe('a fetch', () => {
  test('is answered at once, and tells its end and the image', async () => {
    const { stdout, stderr } = await python(
      host,
      `${WATCH}
id, path = fetch('http://127.0.0.1:8080/plain.aci')
lines = []
result, details = until_finished(path, lambda member, body: lines.append(member))
print(result, details['image'][1][:7], 'LogMessage' in lines)
for member, where, body in signals():
    if member == 'TransferRemoved' and body[0] == id: break
print(body[2])
print(call('Get', 'ss', 'io.rkt.Rkt1.Transfer', 'Progress', path=path, interface='org.freedesktop.DBus.Properties'))`,
    );
    expect(stdout, stderr).toBe(
      'done sha512- True\ndone\norg.freedesktop.DBus.Error.UnknownObject\n',
    );
    const [images] = await answer(host, 'ListImages', ['a{sv}', '0']);
    expect(JSON.stringify(images)).toContain('localhost/plain');
  });

  test('unpacks all that root would, in its sandbox', async () => {
    const stats = await shell(
      host,
      'cd /var/lib/rkt/cas/tree/*/rootfs && stat -c "%n %a %u %g" suid private private/secret',
    );
    expect(stats).toBe('suid 4755 12 34\nprivate 755 0 0\nprivate/secret 600 1000 0');
  });

  test('leaves a store like that of root, which others can list', async () => {
    expect(await shell(host, 'stat -c %a /var/lib/rkt/cas/image /var/lib/rkt/cas/image/*')).toMatch(
      /^755\n755/,
    );
  });

  test('tells how far it is, and is listed meanwhile; cancel ends its worker', async () => {
    const { stdout, stderr } = await python(
      host,
      `${WATCH}
id, path = fetch('http://127.0.0.1:8080/gated/canceled.aci')
for member, where, body in signals():
    if member == 'PropertiesChanged' and where == path and body[1]['Progress'][1] > 0: break
print(0 < body[1]['Progress'][1] < 1)
with open_dbus_connection(bus='SYSTEM') as other:
    ask = lambda *args, **kw: other.send_and_get_reply(message(*args, **kw), timeout=60).body
    listed, = ask('ListTransfers', 'a{sv}', {})
    print([each[1:3] for each in listed if each[0] == id])
    ask('Cancel', path=path, interface='io.rkt.Rkt1.Transfer')
print(until_finished(path)[0])`,
    );
    expect(stdout, stderr).toBe(
      "True\n[('fetch', 'http://127.0.0.1:8080/gated/canceled.aci')]\ncanceled\n",
    );
    expect(await shell(host, 'systemctl list-units --no-legend "rkt-transfer@*"')).toBe('');
  });

  test('goes on when the helper is killed, and the next helper tells its end', async () => {
    const { stdout, stderr } = await python(
      host,
      `${WATCH}
import subprocess
run = lambda words: subprocess.run(words, shell=True, check=True)
id, path = fetch('http://127.0.0.1:8080/gated/killed.aci')
for member, where, body in signals():
    if member == 'PropertiesChanged' and where == path and body[1]['Progress'][1] > 0: break
run('systemctl kill --signal=KILL rkt-helper.service')
run('while systemctl -q is-active rkt-helper; do sleep 0.05; done; systemctl reset-failed rkt-helper')
print([each[0] == id for each in call('ListTransfers', 'a{sv}', {})[0]])
run('touch /srv/open')
print(until_finished(path)[0])
run('rm /srv/open')`,
    );
    expect(stdout, stderr).toBe('[True]\ndone\n');
  });

  test('whose worker is killed has failed, and the next one goes on where it ended', async () => {
    const { stdout, stderr } = await python(
      host,
      `${WATCH}
import subprocess
run = lambda words: subprocess.run(words, shell=True, check=True)
url = 'http://127.0.0.1:8080/gated/worker.aci'
id, path = fetch(url)
for member, where, body in signals():
    if member == 'PropertiesChanged' and where == path and body[1]['Progress'][1] > 0.4: break
run('systemctl kill --signal=KILL rkt-transfer@%d.service' % id)
print(until_finished(path))
run('touch /srv/open')
print(until_finished(fetch(url)[1])[0])`,
    );
    expect(stdout, stderr).toBe("('failed', {'message': ('s', 'its worker was killed')})\ndone\n");
    const asked = await shell(host, 'grep gated/worker.aci /srv/asked');
    expect(asked).toMatch(/-\nGET \/gated\/worker\.aci bytes=[1-9]\d+-$/);
  });

  test('of what nobody vouches for fails with one line', async () => {
    const { stdout, stderr } = await python(
      host,
      `${WATCH}
INSECURE = {}
result, details = until_finished(fetch('https://localhost/plain.aci')[1])
print(result, details['message'][1])`,
    );
    expect(stdout, stderr).toMatch(/^failed [^\n]+\n$/);
  });
});

describe('a collection of garbage', () => {
  test('is a transfer', async () => {
    const { stdout, stderr } = await python(
      host,
      `${WATCH}
id, path = call('CollectGarbage', 'a{sv}', {'grace-period': ('t', 0)})
print(until_finished(path)[0])`,
    );
    expect(stdout, stderr).toBe('done\n');
  });
});

describe('a key', () => {
  test('is trusted, so that a member of group rkt fetches what it has signed, and then no longer', async () => {
    await host.writeFile('/tmp/key', gnupg.exportKeys(ann));
    const trusted = await python(
      host,
      "print(call('TrustKey', 'ssa{sv}', 'localhost/signed', open('/tmp/key').read(), {})[0])",
    );
    expect(trusted.stdout, trusted.stderr).toBe(`['${ann}']\n`);
    expect(await answer(host, 'ListKeys', ['a{sv}', '0'])).toMatchObject([
      [['localhost/signed', ann, expect.stringContaining(ann), expect.anything()]],
    ]);
    const url = 'https://localhost/signed.aci';
    const { code, stdout, stderr } = await host.run(['rkt', 'fetch', url], { user: 'member' });
    expect(stdout, stderr).toMatch(/^sha512-[0-9a-f]{32}\n$/);
    expect(stderr).toMatch(/downloading /);
    expect(code).toBe(0);
    await answer(host, 'UntrustKey', ['ssa{sv}', 'localhost/signed', ann, '0']);
    expect(await answer(host, 'ListKeys', ['a{sv}', '0'])).toEqual([[]]);
  });

  test('that is not trusted keeps a member from fetching, with the exit status of rkt', async () => {
    const url = 'https://localhost/plain.aci';
    const { code, stderr } = await host.run(['rkt', 'fetch', url], { user: 'member' });
    expect(code).toBe(254);
    expect(stderr).toMatch(/^rkt: fetch: /m);
  });
});

test('an image is removed by the API', async () => {
  await answer(host, 'RemoveImage', ['sa{sv}', 'localhost/plain', '0']);
  const { stderr } = await call(host, 'RemoveImage', ['sa{sv}', 'localhost/plain', '0']);
  expect(stderr).toMatch(/not in the store/);
});

describe('a command by Varlink', () => {
  /** `ask` has an image that comes half fetched, and waits until it does. */
  const ASK = `
import json, os, socket, time
socket.setdefaulttimeout(60)
def ask(name):
    other = socket.socket(socket.AF_UNIX)
    other.connect('/run/rkt/io.rkt.Rkt1')
    url = f'http://127.0.0.1:8080/gated/{name}.aci'
    words = ['--insecure-options=http,image', 'fetch', url]
    other.sendall(json.dumps({'method': 'io.rkt.Rkt1.Command', 'parameters': {'arguments': words}}).encode() + b'\\0')
    return other
def running():
    return call('ListTransfers', 'a{sv}', {})[0]
def half_there(name):
    while f'{name}.aci' not in open('/srv/asked').read() or not running(): time.sleep(0.01)
def until_canceled():
    while running(): time.sleep(0.01)
    print('canceled')
`;

  test('is answered when its caller has said that this was all', async () => {
    const { stdout, stderr } = await python(
      host,
      `${ASK}
other = ask('answered')
other.shutdown(socket.SHUT_WR)
half_there('answered')
open('/srv/open', 'w').close()
text = b''
while not text.endswith(b'\\0'): text += other.recv(4096)
os.remove('/srv/open')
answer = json.loads(text[:-1])['parameters']
print(answer['status'], answer['stdout'][:7])`,
    );
    expect(stdout, stderr).toBe('0 sha512-\n');
  });

  test.each([
    ['left', ''],
    ['hung-up', 'other.shutdown(socket.SHUT_WR)'],
  ])('is canceled when its caller has %s', async (name, before) => {
    const { stdout, stderr } = await python(
      host,
      `${ASK}
other = ask('${name}')
${before}
half_there('${name}')
other.close()
until_canceled()`,
    );
    expect(stdout, stderr).toBe('canceled\n');
  });
});
