import { expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE } from './host-box.ts';
import { BOX } from './image.ts';

// @vm
const host = await startHost();
importBox(host);

/** The entries of the journal that match, as objects. */
async function journal(...match: string[]): Promise<Record<string, unknown>[]> {
  const text = await host.ok(['journalctl', '--no-pager', '-q', '-o', 'json', ...match]);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

test('every line of a pod that logs to the journal has its pod, app and image as fields', async () => {
  const script = 'echo out; echo "<3>err" >&2';
  const uuid = await host.ok([
    'rkt',
    'run',
    '--net=none',
    '--detach',
    BOX,
    '--',
    `${script}; sleep 1`,
  ]);
  await expect
    .poll(async () => (await journal(`RKT_POD=${uuid}`, 'RKT_APP=box')).length, {
      timeout: PATIENCE,
    })
    .toBe(2);
  const common = {
    RKT_POD: uuid,
    RKT_APP: 'box',
    RKT_IMAGE: `${BOX}:1.0`,
    SYSLOG_IDENTIFIER: 'box',
    _SYSTEMD_UNIT: `rkt-${uuid}.service`,
  };
  const entries = await journal(`RKT_POD=${uuid}`, 'RKT_APP=box');
  expect(entries).toContainEqual(
    expect.objectContaining({ ...common, MESSAGE: 'out', RKT_STREAM: 'stdout', PRIORITY: '6' }),
  );
  expect(entries).toContainEqual(
    expect.objectContaining({ ...common, MESSAGE: 'err', RKT_STREAM: 'stderr', PRIORITY: '3' }),
  );
});

test('what a pod writes as the main process of a unit is complete in the journal of the unit', async () => {
  const unit = 'journal-unit';
  const argv = ['rkt', 'run', '--net=none', '--uuid-file-save=/var/tmp/journal-uuid', BOX];
  await host.exec(['systemd-run', '-q', '--wait', `--unit=${unit}`, ...argv, '--', 'seq 1 1500']);
  const uuid = (await host.readFile('/var/tmp/journal-uuid')).toString();
  const match = [`_SYSTEMD_UNIT=${unit}.service`, `RKT_POD=${uuid}`, 'RKT_APP=box'];
  const numbers = async () => (await journal(...match)).map(({ MESSAGE }) => Number(MESSAGE));
  await expect
    .poll(numbers, { timeout: PATIENCE })
    .toEqual(Array.from({ length: 1500 }, (_, at) => at + 1));
  expect(await host.ok(['rkt', 'logs', '--tail=1', '-o', 'cat', uuid])).toBe('1500');
});

test('rkt logs has a detached pod while it runs and when it has ended', async () => {
  const script = 'echo first; sleep 1; echo last';
  const uuid = await host.ok(['rkt', 'run', '--net=none', '--detach', BOX, '--', script]);
  expect(await host.ok(['rkt', 'logs', '-f', '-o', 'cat', uuid])).toBe('first\nlast');
  expect(await host.ok(['rkt', 'logs', '-o', 'cat', uuid])).toBe('first\nlast');
});

test('rkt attach reaches an app of a detached pod', async () => {
  const app = ['--stdin=stream', '--stdout=stream', '--', 'read line; echo "got $line"'];
  const uuid = await host.ok(['rkt', 'run', '--net=none', '--detach', BOX, ...app]);
  expect(await host.ok(['rkt', 'attach', uuid], { input: 'news\n' })).toBe('got news');
});

test('the unit of a pod that has ended had no process left to kill', async () => {
  const uuid = await host.ok([
    'rkt',
    'run',
    '--net=none',
    '--detach',
    BOX,
    '--',
    'echo x; sleep 0.5',
  ]);
  await host.ok(['rkt', 'status', '--wait', uuid]);
  await expect
    .poll(() => host.ok(['journalctl', '--no-pager', '-u', `rkt-${uuid}`]), { timeout: PATIENCE })
    .toMatch(/Deactivated successfully/);
  expect(await host.ok(['journalctl', '--no-pager', '-u', `rkt-${uuid}`])).not.toMatch(/Killing/);
});
