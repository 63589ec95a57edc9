// The units, presets, users and folders that an installation brings.
import { expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE } from '../pods/host-box.ts';
import { installRkt } from './installed.ts';

const host = await startHost();
installRkt(host);
importBox(host);

test('every unit is one that systemd-analyze has nothing against', async () => {
  const list = 'ls /usr/lib/systemd/system/rkt* | sed s/@[.]/@x./';
  const { stderr } = await host.run(['sh', '-c', `systemd-analyze verify --man=no $(${list})`]);
  expect(stderr).toBe('');
});

test('users and folders are made, as the files say', async () => {
  await host.ok(['systemd-sysusers', '--dry-run', 'rkt.conf']);
  await host.ok(['systemd-tmpfiles', '--create', 'rkt.conf']);
  expect(await host.ok(['getent', 'group', 'rkt'])).toMatch(/^rkt:/);
  expect(await host.ok(['stat', '-c', '%U:%G %a', '/var/lib/rkt'])).toBe('root:rkt 750');
});

test('presets turn on what collects, and not what serves', async () => {
  await host.ok([
    'systemctl',
    'preset',
    'rkt-gc.timer',
    'rkt-image-gc.timer',
    'rkt-metadata.socket',
  ]);
  const { stdout } = await host.run([
    'systemctl',
    'is-enabled',
    'rkt-gc.timer',
    'rkt-image-gc.timer',
    'rkt-metadata.socket',
  ]);
  expect(stdout.trim().split('\n')).toEqual(['enabled', 'disabled', 'disabled']);
});

test('rkt-gc.timer collects pods that have ended, after the grace period of its service', async () => {
  await host.ok(['rkt', 'run', '--net=none', 'example.org/box', '--', 'true']);
  await host.writeFile(
    '/etc/systemd/system/rkt-gc.service.d/now.conf',
    '[Service]\nEnvironment=GRACE_PERIOD=0s\n',
  );
  await host.writeFile(
    '/etc/systemd/system/rkt-gc.timer.d/now.conf',
    '[Timer]\nRandomizedDelaySec=0\n',
  );
  await host.ok(['systemctl', 'daemon-reload']);
  await host.ok(['systemctl', 'restart', 'rkt-gc.timer']);
  const left = () => host.ok(['rkt', 'list', '--no-legend']);
  await expect.poll(left, { timeout: PATIENCE }).toBe('');
});

test('rkt-image-gc.service removes images that nothing uses', async () => {
  await host.writeFile(
    '/etc/systemd/system/rkt-image-gc.service.d/now.conf',
    '[Service]\nEnvironment=GRACE_PERIOD=0s\n',
  );
  await host.ok(['systemctl', 'daemon-reload']);
  await host.ok(['rkt', 'gc', '--grace-period=0s']);
  await host.ok(['systemctl', 'start', 'rkt-image-gc.service']);
  expect(await host.ok(['rkt', 'image', 'list', '--no-legend'])).toBe('');
});

test('rkt-metadata.socket starts its service for who asks, as a user of its own', async () => {
  await host.ok(['systemctl', 'start', 'rkt-metadata.socket']);
  const ask =
    'exec 3<>/dev/tcp/127.0.0.1/18112; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; head -1 <&3';
  expect(await host.ok(['bash', '-c', ask])).toMatch(/^HTTP\/1\.1 4/);
  const property = (name: string) =>
    host.ok(['systemctl', 'show', '--value', '-p', name, 'rkt-metadata.service']);
  expect(await property('ActiveState')).toBe('active');
  const user = await host.ok(['stat', '-c', '%U', `/proc/${await property('MainPID')}`]);
  expect(user).toBe('rkt-metadata');
  expect(await host.ok(['stat', '-c', '%a %U:%G', '/run/rkt/metadata-svc.sock'])).toBe(
    '660 root:root',
  );
});
