// What rkt's services tell systemd, by the optional native packages and by datagrams of their own: no
// reader can tell one from the other. An installed rkt has no such packages; that of the checkout does.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { bundleProbe, needsNativePackages } from '../../lib/native.ts';
import { PATIENCE } from '../pods/host-box.ts';
import { installRkt } from './installed.ts';

const host = await startHost();
installRkt(host);

const NATIVE = '/var/tmp/native';
const PLAIN = '/var/tmp/plain';

/** Logs events, each with the mark that is its argument; prints whether the package was loaded. */
const PROBE = String.raw`
import { readFileSync } from 'node:fs';
import { logEvent } from './src/systemd/journal.ts';
import { useNativePackages } from './src/systemd/native.ts';
useNativePackages();
const code = 'src/pod/start.ts:startPod';
const mark = ['RKT_POD', process.argv[2]] as const;
const image = (name: string) => ['RKT_IMAGE', name] as const;
logEvent({ kind: 'pod-started', message: 'plain é', code, fields: [mark, image('a')] });
logEvent({ kind: 'pod-failed', message: 'two\nlines', priority: 'error', code, fields: [mark] });
process.stdout.write(String(readFileSync('/proc/self/maps', 'utf8').includes('/journal_send.node')));
logEvent({ kind: 'pod-started', message: 'two images', code, fields: [mark, image('a'), image('b')] });
logEvent({ kind: 'pod-exited', message: 'a\0b', priority: 'notice', code, fields: [mark] });
`;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rkt-probe-'));
  await bundleProbe(PROBE, join(folder, 'probe.mjs'));
  for (const place of [NATIVE, PLAIN])
    await host.writeFile(`${place}/probe.mjs`, readFileSync(join(folder, 'probe.mjs')));
  rmSync(folder, { recursive: true });
  await host.ok(['ln', '-s', '/src/node_modules', `${NATIVE}/node_modules`]);
  await host.ok(['mkdir', `${PLAIN}/node_modules`]);
  await host.ok(['ln', '-s', '/src/node_modules/koffi', `${PLAIN}/node_modules/`]);
});

/** The fields of the four events as the probe below a folder has sent them, and how. */
async function logged(place: string, mark = place) {
  const isNative = await host.ok(['node', `${place}/probe.mjs`, mark]);
  const entries = async (): Promise<Record<string, unknown>[]> => {
    const { stdout } = await host.exec(['journalctl', '--output=json', `RKT_POD=${mark}`]);
    const lines = stdout.split('\n').filter(Boolean);
    return lines.map((line) =>
      Object.fromEntries(
        Object.entries(JSON.parse(line)).filter(([name]) => !/^_|^RKT_POD$/.test(name)),
      ),
    );
  };
  await expect.poll(async () => (await entries()).length, { timeout: PATIENCE }).toBe(4);
  return { isNative: isNative === 'true', entries: await entries() };
}

describe('an entry of the journal', () => {
  test('has all its fields where there is no systemd-journald', async () => {
    const { isNative, entries } = await logged(PLAIN);
    expect(isNative).toBe(false);
    expect(entries[0]).toEqual({
      MESSAGE: 'plain é',
      MESSAGE_ID: '7361ab89022948dbbd313c929cf8868d',
      PRIORITY: '6',
      SYSLOG_IDENTIFIER: 'rkt',
      CODE_FILE: 'src/pod/start.ts',
      CODE_FUNC: 'startPod',
      RKT_IMAGE: 'a',
    });
    expect(entries[1]).toMatchObject({ MESSAGE: 'two\nlines', PRIORITY: '3' });
    expect(entries[2]).toMatchObject({ RKT_IMAGE: ['a', 'b'] });
    expect(entries[3]).toMatchObject({ MESSAGE: [97, 0, 98], PRIORITY: '5' });
  });

  test('has the same by systemd-journald', async (context) => {
    needsNativePackages(context);
    const { isNative, entries } = await logged(NATIVE);
    expect(isNative).toBe(true);
    expect(entries).toEqual((await logged(PLAIN, 'again')).entries);
  });
});

const show = async (unit: string, property: string): Promise<string> =>
  host.ok(['systemctl', 'show', '-P', property, unit]);

/** Starts a service with a short watchdog, and with another program where one is given. */
async function start(unit: string, argv?: string): Promise<void> {
  const program = argv ? `ExecStart=\nExecStart=${argv}\n` : '';
  await host.writeFile(
    `/run/systemd/system/${unit}.d/test.conf`,
    `[Service]\nWatchdogSec=3\n${program}`,
  );
  await host.ok(['systemctl', 'daemon-reload']);
  await host.ok(['systemctl', 'restart', unit]);
}

async function isNative(unit: string): Promise<boolean> {
  const maps = await host.readFile(`/proc/${await show(unit, 'MainPID')}/maps`);
  return maps.includes('/notify.node');
}

/** It has said that it lives, again and again. */
async function expectAlive(unit: string): Promise<void> {
  const stamp = async () => Number(await show(unit, 'WatchdogTimestampMonotonic'));
  const first = await stamp();
  await expect.poll(stamp, { timeout: PATIENCE }).toBeGreaterThan(first + 2_000_000);
  expect(await show(unit, 'NRestarts')).toBe('0');
}

describe.each([
  ['rkt-helper.service', 'helper', 'Waiting for calls'],
  ['rkt-metadata.service', 'metadata-service', ''],
])('%s', (unit, command, status) => {
  test('tells systemd that it lives', async () => {
    await start(unit);
    expect(await isNative(unit)).toBe(false);
    await expect.poll(() => show(unit, 'StatusText'), { timeout: PATIENCE }).toBe(status);
    await expectAlive(unit);
  });

  test('tells it by sd-notify where that is compiled', async (context) => {
    needsNativePackages(context);
    await start(unit, `/src/dist/rkt ${command}`);
    expect(await isNative(unit)).toBe(true);
    await expect.poll(() => show(unit, 'StatusText'), { timeout: PATIENCE }).toBe(status);
    await expectAlive(unit);
  });
});
