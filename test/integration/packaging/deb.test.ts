import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Host, startHost } from '../../lib/host.ts';
import { expectClearedByGc, type HostPod, PATIENCE, startPod, state } from '../pods/host-box.ts';
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
  const build = async (version: string): Promise<string> => {
    const sources = join(scratch, version);
    await copySources(sources);
    setVersion(sources, version);
    return (await buildPackages(sources, scratch, ['deb'])).deb;
  };
  [old, newer] = await Promise.all([build(checkoutVersion), build('9.0.0')]);
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
  const startBox = (): Promise<HostPod> =>
    startPod(host, [BOX, '--', 'echo ready; exec sleep 1000']);
  const versionOnBus = (): Promise<string> =>
    ok('busctl get-property io.rkt.Rkt1 /io/rkt/Rkt1 io.rkt.Rkt1.Manager Version');
  const purge = (): Promise<string> =>
    ok(`
      for machine in $(machinectl list --no-legend | awk '{ print $1 }'); do
        machinectl terminate $machine
      done
      while [ -n "$(machinectl list --no-legend)" ]; do sleep 0.1; done
      dpkg --purge rkt >/dev/null 2>&1
      rm -rf /var/lib/rkt /run/rkt`);

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

  describe('once installed', () => {
    beforeAll(async () => {
      await install('/var/tmp/old.deb');
      await importBox();
    }, BUILDING);
    afterAll(purge, BUILDING);

    test('runs a pod', async () => {
      expect(await host.ok(['rkt', 'run', '--net=none', BOX, '--', 'echo hello'])).toBe('hello');
    });

    test('turns on the collection of pods, and of images only when asked', async () => {
      expect(await ok('systemctl cat rkt-gc.timer')).toContain('[Timer]');
      expect([await enabled('rkt-gc.timer'), await active('rkt-gc.timer')]).toEqual([
        'enabled',
        'active',
      ]);
      expect(await enabled('rkt-image-gc.timer')).toBe('disabled');
    });

    test('collects pods', async () => {
      await ok('systemctl start rkt-gc.service');
      expect(await ok('systemctl show --value -p Result rkt-gc.service')).toBe('success');
    });

    test('has man pages, completions, and a group for those who may look', async () => {
      await ok('gzip -t /usr/share/man/man1/rkt-run.1.gz /usr/share/man/man5/io.rkt.Rkt1.5.gz');
      const complete = '. /usr/share/bash-completion/completions/rkt; complete -p rkt';
      expect((await host.exec(['bash', '-c', complete])).stdout).toMatch(/^complete .*rkt$/m);
      expect(await ok('stat -c "%a %U:%G" /var/lib/rkt')).toBe('750 root:rkt');
    });

    test('is known to the bus, and its actions to polkit', async () => {
      await expect
        .poll(() => ok('busctl list --activatable --no-legend'), { timeout: PATIENCE })
        .toContain('io.rkt.Rkt1');
      await expect
        .poll(() => ok('pkaction'), { timeout: PATIENCE })
        .toContain('io.rkt.Rkt1.run-pod');
    });

    test('answers who asks on the bus', async () => {
      expect(await versionOnBus()).toBe(`s "${checkoutVersion}"`);
    });

    test('has its code compiled for the node that is there, and again for the next one', async () => {
      const packs = 'ls /usr/lib/rkt/lib/*.js | wc -l';
      const compiled = 'ls /usr/lib/rkt/lib/*.js.v* | wc -l';
      expect(await ok(compiled)).toBe(await ok(packs));
      if (!(await ok('dpkg -s nodejs')).includes('test@example.org')) return;
      await ok('rm /usr/lib/rkt/lib/*.js.v*; dpkg -i /var/tmp/newer-node.deb');
      expect(await ok(compiled)).toBe(await ok(packs));
    });

    test('has the services of an old version stopped before it compiles, which takes a while', async () => {
      const trace = await ok('sh -ex /var/lib/dpkg/info/rkt.postinst configure 1.0 2>&1');
      const steps = [
        'systemctl --system daemon-reload',
        'deb-systemd-invoke stop',
        'node /usr/lib',
      ];
      const at = steps.map((step) => trace.indexOf(`+ ${step}`));
      expect(at).not.toContain(-1);
      expect(at).toEqual(at.toSorted((a, b) => a - b));
    });

    test('may have its scripts run twice', async () => {
      await ok('sh -e /var/lib/dpkg/info/rkt.postinst configure');
      await install('/var/tmp/old.deb');
      expect(await active('rkt-gc.timer')).toBe('active');
    });
  });

  describe('an upgrade', () => {
    let pod: HostPod;
    let leader: string;
    const leaderNow = (): Promise<string> => ok(`machinectl show -p Leader --value ${pod.machine}`);

    beforeAll(async () => {
      await install('/var/tmp/old.deb');
      await ok('systemctl disable --now rkt-gc.timer; systemctl enable --now rkt-image-gc.timer');
      await importBox();
      pod = await startBox();
      leader = await leaderNow();
      expect(await versionOnBus()).toBe(`s "${checkoutVersion}"`);
      await install('/var/tmp/newer.deb');
    }, BUILDING);
    afterAll(purge, BUILDING);

    test('leaves running pods running, listed and stoppable', async () => {
      expect(await ok('rkt version')).toContain('rkt Version: 9.0.0');
      expect(await state(host, pod.uuid)).toBe('running');
      expect(await leaderNow()).toBe(leader);
      await host.ok(['rkt', 'stop', pod.uuid]);
      await expectClearedByGc(host, pod.uuid);
    });

    test('keeps what the administrator has turned off or on', async () => {
      expect([await enabled('rkt-gc.timer'), await active('rkt-gc.timer')]).toEqual([
        'disabled',
        'inactive',
      ]);
      expect([await enabled('rkt-image-gc.timer'), await active('rkt-image-gc.timer')]).toEqual([
        'enabled',
        'active',
      ]);
    });

    test('has the new version answer on the bus', async () => {
      expect(await versionOnBus()).toBe('s "9.0.0"');
    });

    test('leaves no file of the old version', async () => {
      const brought = (await ok('dpkg -L rkt | grep ^/usr/lib/rkt')).split('\n');
      const node = await ok(`node -p 'process.version + "-" + process.arch'`);
      const compiled = brought
        .filter((path) => /^\/usr\/lib\/rkt\/lib\/.*\.js$/.test(path))
        .map((path) => `${path}.${node}`);
      const there = (await ok('find /usr/lib/rkt')).split('\n');
      expect(there.sort()).toEqual([...brought, ...compiled].sort());
    });
  });

  describe('comes and goes', () => {
    afterEach(purge, BUILDING);

    test('it can be installed, upgraded and removed where no systemd runs', async () => {
      const without = `mount -t tmpfs tmpfs /run && dpkg -i /var/tmp/old.deb &&
        dpkg -i /var/tmp/newer.deb && dpkg --remove rkt && dpkg --purge rkt`;
      await ok(`unshare --mount sh -ec '${without}' 2>&1`);
      expect(await allFiles(host)).toBe(files);
    });

    test('removed, it leaves pods running and their data, which the next installation finds', async () => {
      await install('/var/tmp/old.deb');
      await importBox();
      const pod = await startBox();
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
      const pod = await startBox();
      expect(await ok('dpkg --purge rkt 2>&1')).toContain(pod.uuid);
      expect(await ok(`machinectl show -p State --value ${pod.machine}`)).toBe('running');
      // As the next installation would find it.
      expect(await ok(`/src/dist/rkt status ${pod.uuid}`)).toContain('state=running');
      await ok(`/src/dist/rkt stop ${pod.uuid}`);
      await expect
        .poll(() => ok(`/src/dist/rkt status ${pod.uuid}`), { timeout: PATIENCE })
        .toContain('state=exited');
    });
  });
});
