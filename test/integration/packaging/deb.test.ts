import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Host, startHost } from '../../lib/host.ts';
import { expectClearedByGc, PATIENCE, startPod, state } from '../pods/host-box.ts';
import { BOX, packImage } from '../pods/image.ts';
import {
  BUILDING,
  buildPackages,
  checkoutVersion,
  copySources,
  run,
  scratchFolder,
  setVersion,
} from './build.ts';
import { allFiles, script } from './on-host.ts';

const scratch = scratchFolder();
let old: string;
let newer: string;

beforeAll(async () => {
  const sources = join(scratch, 'sources');
  await copySources(sources);
  old = (await buildPackages(sources, scratch, ['deb'])).deb;
  setVersion(sources, '9.0.0');
  newer = (await buildPackages(sources, scratch, ['deb'])).deb;
}, BUILDING);

/** Stands in for Debian's node, which the hosts have as a file of this machine's. */
async function nodePackage(revision: number): Promise<string> {
  const folder = join(scratch, `nodejs-${revision}`);
  mkdirSync(join(folder, 'DEBIAN'), { recursive: true });
  mkdirSync(join(folder, 'usr/bin'), { recursive: true });
  writeFileSync(join(folder, 'usr/bin/node'), '#!/bin/sh\nexec /usr/local/bin/node "$@"\n', {
    mode: 0o755,
  });
  const fields = [
    'Package: nodejs',
    `Version: 20.${revision}`,
    'Architecture: all',
    'Maintainer: test <test@example.org>',
    'Description: stands in for node',
  ];
  writeFileSync(join(folder, 'DEBIAN/control'), `${fields.join('\n')}\n`);
  await run('dpkg-deb', ['--root-owner-group', '--build', folder, `${folder}.deb`]);
  return `${folder}.deb`;
}

describe.each(['bookworm', 'trixie'])('the deb on Debian %s', { timeout: BUILDING }, (suite) => {
  let host: Host;
  let files: string;

  const ok = (text: string): Promise<string> => script(host, text);
  const install = (file: string): Promise<string> =>
    ok(`dpkg --path-include='/usr/share/man/*' -i ${file} 2>&1`);
  const active = async (unit: string): Promise<string> =>
    (await host.exec(['systemctl', 'is-active', unit])).stdout.trim();
  const enabled = async (unit: string): Promise<string> =>
    (await host.exec(['systemctl', 'is-enabled', unit])).stdout.trim();
  const importBox = (): Promise<string> =>
    ok('rkt --insecure-options=image image import /var/tmp/box.aci');

  beforeAll(async () => {
    host = await startHost({ kind: 'container', suite });
    for (const [name, file] of Object.entries({
      'old.deb': old,
      'newer.deb': newer,
      'node.deb': await nodePackage(1),
      'newer-node.deb': await nodePackage(2),
      'box.aci': packImage(scratch, {}),
    }))
      await host.writeFile(`/var/tmp/${name}`, readFileSync(file));
    await ok('rm /usr/local/bin/rkt');
    // A host whose image has Debian's own node needs no other.
    await ok('dpkg -s nodejs >/dev/null 2>&1 || dpkg -i /var/tmp/node.deb');
    files = await allFiles(host);
  }, BUILDING);

  afterEach(async () => {
    await ok(`
      for machine in $(machinectl list --no-legend | awk '{ print $1 }'); do
        machinectl terminate $machine
      done
      while [ -n "$(machinectl list --no-legend)" ]; do sleep 0.1; done
      dpkg --purge rkt >/dev/null 2>&1
      rm -rf /var/lib/rkt /run/rkt`);
  });

  test('once installed it runs a pod', async () => {
    await install('/var/tmp/old.deb');
    await importBox();
    expect(await host.ok(['rkt', 'run', '--net=none', BOX, '--', 'echo hello'])).toBe('hello');
  });

  test('it turns on the collection of pods, and of images only when asked', async () => {
    await install('/var/tmp/old.deb');
    expect(await ok('systemctl cat rkt-gc.timer')).toContain('[Timer]');
    expect([await enabled('rkt-gc.timer'), await active('rkt-gc.timer')]).toEqual([
      'enabled',
      'active',
    ]);
    expect(await enabled('rkt-image-gc.timer')).toBe('disabled');
  });

  test('the collection of pods that it brings runs', async () => {
    await install('/var/tmp/old.deb');
    await ok('systemctl start rkt-gc.service');
    expect(await ok('systemctl show --value -p Result rkt-gc.service')).toBe('success');
  });

  test('it brings man pages, completions, and a group for those who may look', async () => {
    await install('/var/tmp/old.deb');
    await ok('gzip -t /usr/share/man/man1/rkt-run.1.gz /usr/share/man/man5/io.rkt.Rkt1.5.gz');
    const complete = '. /usr/share/bash-completion/completions/rkt; complete -p rkt';
    expect((await host.exec(['bash', '-c', complete])).stdout).toMatch(/^complete .*rkt$/m);
    expect(await ok('stat -c "%a %U:%G" /var/lib/rkt')).toBe('750 root:rkt');
  });

  test('the bus knows its name, and polkit its actions', async () => {
    await install('/var/tmp/old.deb');
    await expect
      .poll(() => ok('busctl list --activatable --no-legend'), { timeout: PATIENCE })
      .toContain('io.rkt.Rkt1');
    await expect.poll(() => ok('pkaction'), { timeout: PATIENCE }).toContain('io.rkt.Rkt1.run-pod');
  });

  test('who asks on the bus gets an answer, after an upgrade from the new version', async () => {
    const version = (): Promise<string> =>
      ok('busctl get-property io.rkt.Rkt1 /io/rkt/Rkt1 io.rkt.Rkt1.Manager Version');
    await install('/var/tmp/old.deb');
    expect(await version()).toBe(`s "${checkoutVersion}"`);
    await install('/var/tmp/newer.deb');
    expect(await version()).toBe('s "9.0.0"');
  });

  test('its code is compiled for the node that is there, and again for the next one', async () => {
    const packs = 'ls /usr/lib/rkt/lib/*.js | wc -l';
    const compiled = 'ls /usr/lib/rkt/lib/*.js.v* | wc -l';
    await install('/var/tmp/old.deb');
    expect(await ok(compiled)).toBe(await ok(packs));
    if (!(await ok('dpkg -s nodejs')).includes('test@example.org')) return;
    await ok('rm /usr/lib/rkt/lib/*.js.v*; dpkg -i /var/tmp/newer-node.deb');
    expect(await ok(compiled)).toBe(await ok(packs));
  });

  test('an upgrade leaves running pods running, listed and stoppable', async () => {
    await install('/var/tmp/old.deb');
    await importBox();
    const nspawn = await startPod(host, [BOX, '--', 'echo ready; exec sleep 1000']);
    const before = await ok(`machinectl show -p Leader --value ${nspawn.machine}`);
    await install('/var/tmp/newer.deb');
    expect(await ok('rkt version')).toContain('rkt Version: 9.0.0');
    expect(await state(host, nspawn.uuid)).toBe('running');
    expect(await ok(`machinectl show -p Leader --value ${nspawn.machine}`)).toBe(before);
    await host.ok(['rkt', 'stop', nspawn.uuid]);
    await expectClearedByGc(host, nspawn.uuid);
  });

  test('an upgrade keeps what the administrator has turned off or on', async () => {
    await install('/var/tmp/old.deb');
    await ok('systemctl disable --now rkt-gc.timer; systemctl enable --now rkt-image-gc.timer');
    await install('/var/tmp/newer.deb');
    expect([await enabled('rkt-gc.timer'), await active('rkt-gc.timer')]).toEqual([
      'disabled',
      'inactive',
    ]);
    expect([await enabled('rkt-image-gc.timer'), await active('rkt-image-gc.timer')]).toEqual([
      'enabled',
      'active',
    ]);
  });

  test('an upgrade leaves no file of the old version', async () => {
    await install('/var/tmp/newer.deb');
    const fresh = await ok('find /usr/lib/rkt | sort');
    await ok('dpkg --purge rkt');
    await install('/var/tmp/old.deb');
    await install('/var/tmp/newer.deb');
    expect(await ok('find /usr/lib/rkt | sort')).toBe(fresh);
  });

  test('its scripts may run twice', async () => {
    await install('/var/tmp/old.deb');
    await ok('dpkg-reconfigure rkt 2>/dev/null || sh -e /var/lib/dpkg/info/rkt.postinst configure');
    await install('/var/tmp/old.deb');
    expect(await active('rkt-gc.timer')).toBe('active');
  });

  test('it can be installed, upgraded and removed where no systemd runs', async () => {
    const without = `mount -t tmpfs tmpfs /run && dpkg -i /var/tmp/old.deb &&
      dpkg -i /var/tmp/newer.deb && dpkg --remove rkt && dpkg --purge rkt`;
    await ok(`unshare --mount sh -ec '${without}' 2>&1`);
    expect(await allFiles(host)).toBe(files);
  });

  test('removed, it leaves pods running and their data, which the next installation finds', async () => {
    await install('/var/tmp/old.deb');
    await importBox();
    const pod = await startPod(host, [BOX, '--', 'echo ready; exec sleep 1000']);
    await ok('dpkg --remove rkt 2>&1');
    expect(await active('rkt-gc.timer')).toBe('inactive');
    expect(await ok(`machinectl show -p State --value ${pod.machine}`)).toBe('running');
    await install('/var/tmp/old.deb');
    expect(await state(host, pod.uuid)).toBe('running');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await expectClearedByGc(host, pod.uuid);
    expect(await ok('rkt image list --no-legend')).toContain(BOX);
  });

  test('purged it leaves nothing behind', async () => {
    await install('/var/tmp/old.deb');
    await importBox();
    await host.ok(['rkt', 'run', '--net=none', BOX, '--', 'true']);
    await ok('echo {} > /etc/rkt/paths.d/mine.json; systemctl enable --now rkt-image-gc.timer');
    await ok('dpkg --purge rkt 2>&1');
    expect(await allFiles(host)).toBe(files);
    expect(await ok('systemctl list-units --all --plain --no-legend "rkt-*"')).toBe('');
  });

  test('purged while a pod runs, it says which, and leaves the data', async () => {
    await install('/var/tmp/old.deb');
    await importBox();
    const pod = await startPod(host, [BOX, '--', 'echo ready; exec sleep 1000']);
    expect(await ok('dpkg --purge rkt 2>&1')).toContain(pod.uuid);
    expect(await ok(`machinectl show -p State --value ${pod.machine}`)).toBe('running');
    await install('/var/tmp/old.deb');
    expect(await state(host, pod.uuid)).toBe('running');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await expectClearedByGc(host, pod.uuid);
  });
});
