// rkt's own messages in the journal, and the catalogue that explains them.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type EventKind, MESSAGE_IDS } from '../../../src/systemd/journal.ts';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE } from '../pods/host-box.ts';
import { boxPod, installRkt, podOf, writePod } from './installed.ts';

const host = await startHost();
installRkt(host);
importBox(host, { name: 'example.org/other' });

/** The entries of a kind that match, with all their fields. */
async function entries(kind: EventKind, ...match: string[]): Promise<Record<string, unknown>[]> {
  const id = `MESSAGE_ID=${MESSAGE_IDS[kind]}`;
  const { stdout } = await host.exec(['journalctl', '--output=json', id, ...match]);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

async function first(kind: EventKind, ...match: string[]): Promise<Record<string, unknown>> {
  await expect
    .poll(async () => (await entries(kind, ...match)).length, { timeout: PATIENCE })
    .toBe(1);
  return (await entries(kind, ...match))[0] ?? {};
}

/** Runs a pod in a unit until its end; gives its UUID. */
async function ended(name: string, script: string): Promise<string> {
  await writePod(host, `${name}.pod`, boxPod(`${script}; read -r _ < /hold`));
  await host.run(['systemctl', 'start', name]);
  return podOf(host, name);
}

test('a pod that is started is told of, with its image, by the unit', async () => {
  const uuid = await ended('started', 'mkfifo /hold');
  expect(await first('pod-started', `RKT_POD=${uuid}`)).toMatchObject({
    RKT_IMAGE: 'example.org/box:1.0',
    CODE_FILE: 'src/pod/start.ts',
    CODE_FUNC: 'startPod',
    SYSLOG_IDENTIFIER: 'rkt',
    _SYSTEMD_UNIT: 'started.service',
  });
  await host.ok(['rkt', 'stop', uuid]);
  expect(await first('pod-stopped', `RKT_POD=${uuid}`)).toMatchObject({ CODE_FUNC: 'stopPod' });
  await host.ok(['rkt', 'rm', uuid]);
  expect(await first('pod-removed', `RKT_POD=${uuid}`)).toMatchObject({ CODE_FUNC: 'deletePod' });
});

test.each([
  ['pod-exited', 0, 6],
  ['pod-failed', 3, 4],
] as const)(
  'the end of a pod is told of as %s with the status %i',
  async (kind, code, priority) => {
    const file = `/var/tmp/uuid-${code}`;
    const argv = ['rkt', 'run', '--net=none', `--uuid-file-save=${file}`, 'example.org/box', '--'];
    await host.run([...argv, `exit ${code}`]);
    const uuid = (await host.readFile(file)).toString();
    expect(await first(kind, `RKT_POD=${uuid}`)).toMatchObject({
      MESSAGE: `Pod ${uuid} has ended: box=${code}`,
      PRIORITY: String(priority),
    });
  },
);

test('a pod that cannot be started is told of, with the reason', async () => {
  const file = '/var/tmp/uuid-bad';
  const argv = ['rkt', 'run', '--net=none', `--uuid-file-save=${file}`, 'example.org/box'];
  await host.run([...argv, '--user=nobody-knows']);
  const uuid = (await host.readFile(file)).toString();
  const { MESSAGE } = await first('pod-failed', `RKT_POD=${uuid}`);
  expect(MESSAGE).toContain('nobody-knows');
});

test('images that come and go are told of, once', async () => {
  const match = 'RKT_IMAGE=example.org/other:1.0';
  const added = await first('image-added', match);
  expect(added['RKT_IMAGE_ID']).toMatch(/^sha512-/);
  await host.ok(['rkt', '--insecure-options=image', 'image', 'import', '/var/tmp/1.aci']);
  expect(await entries('image-added', match)).toHaveLength(1);
  await host.ok(['rkt', 'image', 'rm', 'example.org/other']);
  expect(await first('image-removed', match)).toMatchObject({ CODE_FUNC: 'removeImage' });
});

test('the catalogue explains every kind of event', async () => {
  await host.ok(['journalctl', '--update-catalog']);
  const ids = Object.values(MESSAGE_IDS);
  const listed = await host.ok(['journalctl', '--list-catalog', ...ids]);
  for (const id of ids) expect(listed).toContain(id);
  const own = readFileSync('units/rkt.catalog', 'utf8');
  expect([...own.matchAll(/^-- (\w+)$/gm)].map(([, id]) => id).sort()).toEqual([...ids].sort());
  const explained = await host.ok(['journalctl', '-x', `MESSAGE_ID=${MESSAGE_IDS['image-added']}`]);
  expect(explained).toContain('Subject: An image was added');
  expect(explained).toContain('The image example.org/box:1.0 is in the store now');
});
