// What a unit gives to its pod: sockets, credentials, a watchdog.
import { expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, state } from '../pods/host-box.ts';
import { boxPod, installRkt, podOf, writePod } from './installed.ts';

const port = (name: string, number: number) => ({
  name,
  protocol: 'tcp',
  port: number,
  socketActivated: true,
});

const host = await startHost();
installRkt(host);
importBox(
  host,
  { name: 'example.org/web', app: { ports: [port('web', 8081), port('admin', 8082)] } },
  { name: 'example.org/other', app: { ports: [port('other', 9000)] } },
  {
    name: 'example.org/slow',
    annotations: [{ name: 'appc.io/executor/supports-systemd-notify', value: 'true' }],
  },
);

async function log(unit: string): Promise<string> {
  return host.ok(['journalctl', '--unit', unit, '--output=cat', '--no-pager']);
}

/** A socket unit, started, and what its pod's log has after a connection. */
async function activate(
  name: string,
  listen: string,
  connect: string,
  app: string,
  { pod = '', last = /ready/ } = {},
) {
  const text = `[Pod]\n${pod || 'net=none'}\n[App app]\n${app}`;
  await host.writeFile(`/etc/systemd/system/${name}.socket`, `[Socket]\n${listen}\n`);
  await writePod(host, `${name}.pod`, text);
  await host.ok(['systemctl', 'start', `${name}.socket`]);
  await host.ok(['bash', '-c', `exec 3<>/dev/tcp/${connect}`]);
  await expect.poll(() => log(name), { timeout: PATIENCE }).toMatch(last);
  const printed = await log(name);
  await host.ok(['systemctl', 'stop', `${name}.socket`, name]);
  return printed;
}

const SHOW = 'arg="env | grep LISTEN; ls -l /proc/self/fd/3; echo ready; exec sleep 1000"';

test('the socket of a unit reaches the app with its port, under the name of the port', async () => {
  const printed = await activate(
    'sock',
    'ListenStream=8081',
    '127.0.0.1/8081',
    `image=example.org/web\n${SHOW}`,
  );
  expect(printed).toContain('LISTEN_FDS=1');
  expect(printed).toContain('LISTEN_FDNAMES=web');
  expect(printed).toContain('/proc/self/fd/3 -> socket:');
});

test('sockets with several addresses reach the app of each', async () => {
  const second = '\n[App other]\nimage=example.org/other\narg="env; exec sleep 1000"';
  const printed = await activate(
    'several',
    'ListenStream=127.0.0.1:8081\nListenStream=127.0.0.1:8082\nListenStream=[::1]:9000',
    '127.0.0.1/8082',
    `image=example.org/web\n${SHOW}${second}`,
    { last: /(?=.*ready)(?=.*LISTEN_FDNAMES=other)/s },
  );
  expect(printed).toContain('LISTEN_FDS=2');
  expect(printed).toMatch(/LISTEN_FDNAMES=(web:admin|admin:web)/);
  expect(printed).toContain('LISTEN_FDNAMES=other');
});

test('the connection that started the pod is served by its app', async () => {
  // A server in the image would have to take descriptor 3: perl of the host does, by a volume.
  const program =
    'open my $l, "+<&=3"; accept my $c, $l; print $c "served\\n"; close $c; print "ready\\n"; $| = 1; sleep 1000';
  const volumes = ['usr', 'lib', 'lib64'];
  const pod = volumes.map((name) => `volume=${name},kind=host,source=/${name},readOnly=true`);
  const mounts = volumes.map((name) => `mount=volume=${name},target=/${name}`);
  const app = [
    'image=example.org/web',
    'exec=/usr/bin/perl',
    'arg=-e',
    `arg=$| = 1; ${program}`,
    ...mounts,
  ];
  await host.writeFile('/etc/systemd/system/served.socket', '[Socket]\nListenStream=8081\n');
  await writePod(
    host,
    'served.pod',
    `[Pod]\nnet=none\n${pod.join('\n')}\n[App app]\n${app.join('\n')}\n`,
  );
  await host.ok(['systemctl', 'start', 'served.socket']);
  const ask = 'exec 3<>/dev/tcp/127.0.0.1/8081; cat <&3';
  expect(await host.ok(['bash', '-c', ask])).toBe('served');
  await host.ok(['systemctl', 'stop', 'served.socket', 'served']);
});

test('--port leads a socket of another number to the port of the app', async () => {
  const printed = await activate(
    'mapped',
    'ListenStream=7000',
    '127.0.0.1/7000',
    `image=example.org/web\n${SHOW}`,
    { pod: 'port=admin:7000' },
  );
  expect(printed).toContain('LISTEN_FDNAMES=admin');
});

test('a socket that no app wants is told of, and the pod runs', async () => {
  const printed = await activate(
    'unwanted',
    'ListenStream=6000',
    '127.0.0.1/6000',
    'image=example.org/web\narg="env; echo ready; exec sleep 1000"',
  );
  expect(printed).toContain('no app has a socketActivated port for the passed socket');
  expect(printed).not.toContain('LISTEN_FDS');
});

test('credentials of the unit are in a folder of the app, for its user to read', async () => {
  await host.writeFile('/var/tmp/key', 'from a file');
  const unit = '[Service]\nSetCredential=token:secret\nLoadCredential=key:/var/tmp/key\n';
  const script =
    'cd $CREDENTIALS_DIRECTORY && echo "$(cat token), $(cat key)"; touch x || echo ready; exec sleep 1000';
  await writePod(host, 'cred.pod', boxPod(script, { unit, app: 'user=1000\ngroup=1000' }));
  await host.ok(['systemctl', 'start', 'cred']);
  await expect.poll(() => log('cred'), { timeout: PATIENCE }).toContain('ready');
  expect(await log('cred')).toContain('secret, from a file');
  await host.ok(['systemctl', 'stop', 'cred']);
});

test('a unit without credentials gives none', async () => {
  await writePod(host, 'poor.pod', boxPod('env; echo ready; exec sleep 1000'));
  await host.ok(['systemctl', 'start', 'poor']);
  await expect.poll(() => log('poor'), { timeout: PATIENCE }).toContain('ready');
  expect(await log('poor')).not.toContain('CREDENTIALS');
  await host.ok(['systemctl', 'stop', 'poor']);
});

test('a pod is reported to the watchdog of its unit, until it hangs', async () => {
  const unit = '[Service]\nWatchdogSec=3s\n';
  await writePod(host, 'watched.pod', boxPod('exec sleep 1000', { unit }));
  await host.ok(['systemctl', 'start', 'watched']);
  const pod = await podOf(host, 'watched');
  const stamp = () =>
    host.ok(['systemctl', 'show', '--value', '-p', 'WatchdogTimestampMonotonic', 'watched']);
  const first = await stamp();
  await expect.poll(stamp, { timeout: PATIENCE }).not.toBe(first);
  expect(await state(host, pod)).toBe('running');
  await host.ok(['systemctl', 'kill', '--kill-whom=main', '--signal=STOP', 'watched']);
  const result = () => host.ok(['systemctl', 'show', '--value', '-p', 'Result', 'watched']);
  await expect.poll(result, { timeout: PATIENCE }).toBe('watchdog');
});

test('a unit is ready when the app of its pod says so', async () => {
  await host.ok(['mkfifo', '/var/tmp/go']);
  const say =
    'use Socket; socket my $s, AF_UNIX, SOCK_DGRAM, 0; my $p = $ENV{NOTIFY_SOCKET}; send $s, "READY=1", 0, pack_sockaddr_un($p); sleep 1000';
  const volumes = ['usr', 'lib', 'lib64', 'var'];
  const pod = volumes.map((name) => `volume=${name},kind=host,source=/${name}`).join('\n');
  const mounts = volumes.map((name) => `mount=volume=${name},target=/${name}`).join('\n');
  const script = `read -r _ < /var/tmp/go; exec perl -e '${say}'`;
  const app = `image=example.org/slow\nexec=/bin/sh\narg=-c\narg=${JSON.stringify(script)}`;
  await writePod(host, 'ready.pod', `[Pod]\nnet=none\n${pod}\n[App app]\n${app}\n${mounts}\n`);
  await host.ok(['systemctl', 'start', '--no-block', 'ready']);
  const active = () => host.ok(['systemctl', 'show', '--value', '-p', 'ActiveState', 'ready']);
  await expect
    .poll(() => host.run(['sh', '-c', 'rkt list --full | grep slow']).then((r) => r.stdout), {
      timeout: PATIENCE,
    })
    .toContain('running');
  expect(await active()).toBe('activating');
  await host.ok(['sh', '-c', 'echo > /var/tmp/go']);
  await expect.poll(active, { timeout: PATIENCE }).toBe('active');
  await host.ok(['systemctl', 'stop', 'ready']);
});
