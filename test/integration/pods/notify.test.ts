import { describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { FLY, importBox, PATIENCE } from './host-box.ts';

const host = await startHost();
importBox(host, {
  name: 'example.org/notifier',
  annotations: [{ name: 'appc.io/executor/supports-systemd-notify', value: 'true' }],
  files: { '/lib': { link: 'usr/lib' }, '/lib64': { link: 'usr/lib64' } },
});

const HOST_PROGRAMS = '--volume=usr,kind=host,source=/usr,readOnly=true';

/** Has systemd run a pod of the notifier as a unit's main process. */
function runUnit(
  name: string,
  properties: readonly string[],
  script: string,
  flavour: readonly string[] = ['--net=none'],
) {
  return host.run([
    'systemd-run',
    '--quiet',
    '--no-block',
    `--unit=${name}`,
    '--service-type=notify',
    ...['NotifyAccess=all', 'Delegate=yes', ...properties].map((each) => `--property=${each}`),
    ...['/usr/local/bin/rkt', 'run', ...flavour, HOST_PROGRAMS, 'example.org/notifier'],
    ...['--mount=volume=usr,target=/usr', '--', script],
  ]);
}

const show = (unit: string, property: string) => () =>
  host.ok(['systemctl', 'show', '-P', property, unit]);

describe('a unit whose main process is a pod', () => {
  test('is ready when the app has said so, and not before', async () => {
    const script =
      'until [ -e /usr/local/go ]; do sleep 0.05; done; /usr/bin/systemd-notify --ready';
    await runUnit('late', [], `echo waits; ${script}; exec sleep 1000`);
    const log = () => host.ok(['journalctl', '-u', 'late', '-o', 'cat']);
    await expect.poll(log, { timeout: PATIENCE }).toContain('waits');
    expect(await show('late', 'ActiveState')()).toBe('activating');
    await host.ok(['touch', '/usr/local/go']);
    await expect.poll(show('late', 'ActiveState'), { timeout: PATIENCE }).toBe('active');
    await host.ok(['systemctl', 'stop', 'late']);
  });

  test("is a fly pod's app, which is heard", async () => {
    const script = '/usr/bin/systemd-notify --ready --status=heard; exec sleep 1000';
    await runUnit('flying', [], script, ['--net=host', FLY]);
    await expect.poll(show('flying', 'StatusText'), { timeout: PATIENCE }).toBe('heard');
    expect(await show('flying', 'ActiveState')()).toBe('active');
    await host.ok(['systemctl', 'stop', 'flying']);
  });

  test('with a watchdog is reported to as long as the pod lives', async () => {
    await runUnit('watched', ['WatchdogSec=4'], '/usr/bin/systemd-notify --ready; exec sleep 1000');
    await expect.poll(show('watched', 'ActiveState'), { timeout: PATIENCE }).toBe('active');
    const stamp = async () => Number(await show('watched', 'WatchdogTimestampMonotonic')());
    const first = await stamp();
    await expect.poll(stamp, { timeout: PATIENCE }).toBeGreaterThan(first + 5_000_000);
    expect(await show('watched', 'NRestarts')()).toBe('0');
    expect(await show('watched', 'ActiveState')()).toBe('active');
    await host.ok(['systemctl', 'stop', 'watched']);
  });
});
