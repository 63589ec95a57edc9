// What serves the API, and what it is served by, restarts or is killed while pods run and transfers go on.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, state } from '../pods/host-box.ts';
import { BOX, packImage } from '../pods/image.ts';
import { answer, call, installHelper, property, shell, useBus } from './installed.ts';

const host = await startHost();
installHelper(host);
importBox(host);

const SERVER = 'http://127.0.0.1:8080/gated';

/** What happens, and whether with dbus-broker in place of dbus-daemon. */
const HAPPENINGS = [
  ['systemd-machined restarts', 'systemctl restart systemd-machined'],
  ['systemd executes itself anew', 'systemctl daemon-reexec'],
  ['the helper is killed', 'systemctl kill --signal=KILL rkt-helper.service'],
  [
    'rkt is replaced by another build',
    'rm -rf /opt/rkt; mv /opt/other /opt/rkt; rkt version | grep 9.9.9',
  ],
  ['dbus-daemon restarts', 'systemctl restart dbus.service'],
  ['dbus-broker restarts', 'systemctl restart dbus.service'],
] as const;

beforeAll(async () => {
  const script = new URL('./server.mjs', import.meta.url);
  await host.writeFile('/srv/server.mjs', readFileSync(script));
  const folder = mkdtempSync(join(tmpdir(), 'rkt-service-'));
  for (const name of ['run', ...HAPPENINGS.keys()]) {
    const aci = packImage(folder, { name: `localhost/${name}` });
    await host.writeFile(`/srv/gated/${name}.aci`, readFileSync(aci));
  }
  rmSync(folder, { recursive: true });
  // Installed where it can be replaced, by one that is of another version.
  await shell(
    host,
    `systemd-run --unit=http node /srv/server.mjs /srv 8080
     cp -a /src/dist /opt/rkt
     cp -a /src/dist /opt/other
     rm -f /opt/other/lib/*.js.v*
     find /opt/other -type f '(' -name '*.js*' -o -name manifest ')' -exec sed -i "s/$(rkt version | sed -n 's/^rkt Version: //p')/9.9.9/" {} +
     ln -sfn /opt/rkt/rkt /usr/bin/rkt
     ln -sfn /opt/rkt/rkt /usr/local/bin/rkt
     until curl -s http://127.0.0.1:8080/; do sleep 0.1; done`,
  );
});

/** Lets go what the server keeps back, and keeps it back again afterwards. */
async function withGateOpen(until: () => Promise<void>): Promise<void> {
  await host.exec(['touch', '/srv/open']);
  await until();
  await host.exec(['rm', '/srv/open']);
}

const listed = async (method: string): Promise<string> =>
  JSON.stringify(await answer(host, method, ['a{sv}', '0']).catch(String));

async function startFetch(name: string): Promise<string> {
  const insecure = ['1', 'insecure-options', 'as', '2', 'http', 'image'];
  const [id] = await answer(host, 'Fetch', ['sa{sv}', `${SERVER}/${name}.aci`, ...insecure]);
  await expect.poll(() => listed('ListTransfers'), { timeout: PATIENCE }).toMatch(/,0\.[1-9]/);
  return String(id);
}

for (const [at, [what, script]] of HAPPENINGS.entries())
  describe(`when ${what}`, () => {
    if (what.startsWith('dbus-broker')) useBus(host, 'dbus-broker');

    test('pods stay running, listed and stoppable, and transfers go on', async () => {
      const options = ['2', 'net', 'as', '1', 'none', 'arguments', 'aas', '1', '1', 'sleep 1000'];
      const [uuid, path] = await answer(host, 'RunPod', ['sasa{sv}', '', '1', BOX, ...options]);
      const leader = await property(host, String(path), 'Pod', 'Leader');
      const id = await startFetch(String(at));
      // Not by systemd-run, which would lose its bus.
      expect((await host.exec(['sh', '-ec', script])).code).toBe(0);
      const leaderNow = () => property(host, String(path), 'Pod', 'Leader').catch(String);
      await expect.poll(leaderNow, { timeout: PATIENCE }).toBe(leader);
      expect(await state(host, String(uuid))).toBe('running');
      const machines = async () => (await host.exec(['machinectl', 'list', '--no-legend'])).stdout;
      await expect.poll(machines, { timeout: PATIENCE }).toContain(`rkt-${uuid}`);
      expect(await listed('ListTransfers')).toContain(id);
      await withGateOpen(async () => {
        const images = () => listed('ListImages');
        await expect.poll(images, { timeout: PATIENCE }).toContain(`localhost/${at}`);
      });
      await answer(host, 'StopPod', ['sa{sv}', String(uuid), '0']);
      expect(await property(host, String(path), 'Pod', 'State')).toBe('exited');
    });

    if (what.startsWith('dbus-'))
      test('a helper without work ends well, as it does at any other time', async () => {
        await answer(host, 'ListPods', ['a{sv}', '0']);
        expect((await host.exec(['sh', '-ec', script])).code).toBe(0);
        const show = ['systemctl', 'show', '-p', 'ActiveState,Result', 'rkt-helper.service'];
        const helper = async () => (await host.exec(show)).stdout.trim();
        const isThere = async () => /=(de)?activ(e|ating)$/m.test(await helper());
        await expect.poll(isThere, { timeout: PATIENCE }).toBe(false);
        expect(await helper()).toBe('Result=success\nActiveState=inactive');
      });
  });

test('a helper that is killed in the middle of RunPod leaves a pod that runs', async () => {
  const words = ['sasa{sv}', '', '1', `${SERVER}/run.aci`, '3', 'net', 'as', '1', 'none'];
  const options = ['arguments', 'aas', '1', '1', 'sleep 1000'];
  const insecure = ['insecure-options', 'as', '2', 'http', 'image'];
  const asking = call(host, 'RunPod', [...words, ...options, ...insecure]);
  const asked = async () => (await host.exec(['cat', '/srv/asked'])).stdout;
  await expect.poll(asked, { timeout: PATIENCE }).toContain('/gated/run.aci');
  await shell(host, 'systemctl kill --signal=KILL rkt-helper.service');
  expect((await asking).code).not.toBe(0);
  await withGateOpen(async () => {
    const running = async () => {
      const [pods] = await answer(host, 'ListPods', ['a{sv}', '1', 'states', 'as', '1', 'running']);
      return JSON.stringify(pods);
    };
    await expect.poll(running, { timeout: PATIENCE }).toContain('localhost/run');
  });
  const [pods] = await answer(host, 'ListPods', ['a{sv}', '1', 'states', 'as', '1', 'running']);
  const [[uuid] = []] = pods as string[][];
  await answer(host, 'StopPod', ['sa{sv}', String(uuid), '0']);
});
