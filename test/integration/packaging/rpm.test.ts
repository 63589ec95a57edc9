import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Host, hostSuite, startHost } from '../../lib/host.ts';
import { expectClearedByGc, type HostPod, startPod, state } from '../pods/host-box.ts';
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
let host: Host;
let files: string;

/** This machine's rpm, which the hosts do not have: the program, its libraries and its settings. */
async function packRpm(): Promise<Buffer> {
  const { stdout } = await run('ldd', ['/usr/bin/rpm']);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? '');
  const archive = join(scratch, 'rpm.tar');
  const all = [
    '/usr/bin/rpm',
    '/usr/lib/rpm/rpmrc',
    '/usr/lib/rpm/macros',
    '/usr/lib/rpm/platform',
  ];
  await run('tar', ['--dereference', '-Pcf', archive, ...all, ...libraries]);
  return readFileSync(archive);
}

const ok = (text: string): Promise<string> => script(host, text);
const rpm = (args: string): Promise<string> =>
  ok(`
    cd /var/tmp/rpm
    export RPM_CONFIGDIR=$PWD/usr/lib/rpm
    libraries=$PWD/usr/lib:$PWD/lib:$(echo "$PWD"/lib/*-linux-gnu):$(echo "$PWD"/usr/lib/*-linux-gnu)
    lib*/ld-linux-*.so.* --library-path "$libraries" usr/bin/rpm --force-debian \
      --dbpath=/var/tmp/rpm/db ${args} 2>&1`);
const unit = async (verb: string, name: string): Promise<string> =>
  (await host.exec(['systemctl', verb, name])).stdout.trim();
const importBox = (): Promise<string> =>
  ok('rkt --insecure-options=image image import /var/tmp/box.aci');
const startBox = (): Promise<HostPod> => startPod(host, [BOX, '--', 'echo ready; exec sleep 1000']);
const leaderOf = (pod: HostPod): Promise<string> =>
  ok(`machinectl show -p Leader --value ${pod.machine}`);
const versionOnBus = (): Promise<string> =>
  ok('busctl get-property io.rkt.Rkt1 /io/rkt/Rkt1 io.rkt.Rkt1.Manager Version');
const erase = async (): Promise<void> => {
  await ok(`
    for machine in $(machinectl list --no-legend | awk '{ print $1 }'); do
      machinectl terminate $machine
    done
    while [ -n "$(machinectl list --no-legend)" ]; do sleep 0.1; done`);
  if ((await rpm('-qa')) !== '') await rpm('-e rkt');
  await ok('rm -rf /var/lib/rkt /etc/rkt /run/rkt');
};

beforeAll(async () => {
  const build = async (version: string): Promise<string> => {
    const sources = join(scratch, version);
    await copySources(sources);
    setVersion(sources, version);
    return (await buildPackages(sources, scratch, ['rpm'])).rpm;
  };
  const [old, newer] = await Promise.all([build(checkoutVersion), build('9.0.0')]);
  host = await startHost({ kind: 'container', suite: hostSuite });
  const given = { 'old.rpm': old, 'newer.rpm': newer, 'box.aci': packImage(scratch, {}) };
  for (const [name, file] of Object.entries(given))
    await host.writeFile(`/var/tmp/${name}`, readFileSync(file));
  await host.writeFile('/var/tmp/rpm.tar', await packRpm());
  await ok('mkdir /var/tmp/rpm; tar -xf /var/tmp/rpm.tar -C /var/tmp/rpm');
  await ok('rm /usr/local/bin/rkt');
  // rpm's scripts look for programs below /usr alone.
  await ok('[ -e /usr/bin/node ] || ln -s /usr/local/bin/node /usr/bin/node');
  files = await allFiles(host);
}, BUILDING);

describe('once installed', () => {
  beforeAll(async () => {
    expect(await rpm('-i --nodeps /var/tmp/old.rpm')).not.toContain('scriptlet failed');
    await importBox();
  }, BUILDING);
  afterAll(erase, BUILDING);

  test('runs a pod', async () => {
    expect(await host.ok(['rkt', 'run', '--net=none', BOX, '--', 'echo hello'])).toBe('hello');
  });

  test('has turned on what the preset names, and nothing else', async () => {
    const units = [
      'rkt-gc.timer',
      'rkt-helper.socket',
      'rkt-image-gc.timer',
      'rkt-metadata.socket',
    ];
    const states = units.map(async (name) => [
      await unit('is-enabled', name),
      await unit('is-active', name),
    ]);
    expect(await Promise.all(states)).toEqual([
      ['enabled', 'active'],
      ['enabled', 'active'],
      ['disabled', 'inactive'],
      ['disabled', 'inactive'],
    ]);
  });

  test('has made its group, its user and its folders', async () => {
    expect(await ok('getent group rkt')).toMatch(/^rkt:/);
    expect(await ok('getent passwd rkt-metadata')).toMatch(/^rkt-metadata:/);
    expect(await ok('stat -c "%a %U:%G" /var/lib/rkt /run/rkt')).toBe(
      '750 root:rkt\n755 root:root',
    );
  });

  test('answers who asks on the bus', async () => {
    expect(await versionOnBus()).toBe(`s "${checkoutVersion}"`);
  });

  test('has its code compiled for the node that is there', async () => {
    const count = (name: string): Promise<string> => ok(`ls /usr/lib/rkt/lib/${name} | wc -l`);
    expect(await count('*.js.v*')).toBe(await count('*.js'));
  });

  test('has every file as the package has it', async () => {
    expect(await rpm('-V --nodeps rkt')).toBe('');
  });
});

describe('an upgrade', () => {
  let pod: HostPod;
  let leader: string;

  beforeAll(async () => {
    await rpm('-i --nodeps /var/tmp/old.rpm');
    await ok('systemctl disable --now rkt-gc.timer; systemctl enable --now rkt-image-gc.timer');
    await importBox();
    pod = await startBox();
    leader = await leaderOf(pod);
    expect(await versionOnBus()).toBe(`s "${checkoutVersion}"`);
    expect(await rpm('-U --nodeps /var/tmp/newer.rpm')).not.toContain('scriptlet failed');
  }, BUILDING);
  afterAll(erase, BUILDING);

  test('leaves running pods running, listed and stoppable', async () => {
    expect(await ok('rkt version')).toContain('rkt Version: 9.0.0');
    expect(await state(host, pod.uuid)).toBe('running');
    expect(await leaderOf(pod)).toBe(leader);
    await host.ok(['rkt', 'stop', pod.uuid]);
    await expectClearedByGc(host, pod.uuid);
  });

  test('keeps what the administrator has turned off or on', async () => {
    expect(await unit('is-enabled', 'rkt-gc.timer')).toBe('disabled');
    expect(await unit('is-active', 'rkt-gc.timer')).toBe('inactive');
    expect(await unit('is-enabled', 'rkt-image-gc.timer')).toBe('enabled');
    expect(await unit('is-active', 'rkt-image-gc.timer')).toBe('active');
    expect(await unit('is-enabled', 'rkt-helper.socket')).toBe('enabled');
    expect(await unit('is-active', 'rkt-helper.socket')).toBe('active');
  });

  test('has the new version answer on the bus', async () => {
    expect(await versionOnBus()).toBe('s "9.0.0"');
  });

  test('leaves no file of the old version', async () => {
    const brought = (await rpm('-ql rkt')).split('\n');
    const node = await ok(`node -p 'process.version + "-" + process.arch'`);
    const compiled = brought
      .filter((path) => /^\/usr\/lib\/rkt\/lib\/.*\.js$/.test(path))
      .map((path) => `${path}.${node}`);
    const there = (await ok('find /usr/lib/rkt')).split('\n');
    const program = brought.filter((path) => /^\/usr\/lib\/rkt(\/|$)/.test(path));
    expect(there.sort()).toEqual([...program, ...compiled].sort());
  });
});

describe('erased', () => {
  afterEach(erase, BUILDING);

  test(
    'it leaves pods running and their data, which the next installation finds',
    async () => {
      await rpm('-i --nodeps /var/tmp/old.rpm');
      await importBox();
      const pod = await startBox();
      const leader = await leaderOf(pod);
      expect(await rpm('-e rkt')).not.toContain('scriptlet failed');
      expect(await unit('is-active', 'rkt-gc.timer')).toBe('inactive');
      expect(await leaderOf(pod)).toBe(leader);
      await rpm('-i --nodeps /var/tmp/old.rpm');
      expect(await state(host, pod.uuid)).toBe('running');
      expect(await ok('rkt image list --no-legend')).toContain(BOX);
    },
    BUILDING,
  );

  test(
    'it leaves data and what was configured, and no other file or unit',
    async () => {
      await rpm('-i --nodeps /var/tmp/old.rpm');
      await ok('echo {} > /etc/rkt/paths.d/mine.json; touch /var/lib/rkt/mine');
      await ok('systemctl enable --now rkt-image-gc.timer');
      await rpm('-e rkt');
      const old = new Set(files.split('\n'));
      const left = (await allFiles(host)).split('\n').filter((path) => !old.has(path));
      // Folders that several packages have belong to a package that every distribution of rpm has.
      expect(left.filter((path) => path.includes('rkt'))).toEqual([
        '/etc/rkt',
        '/etc/rkt/paths.d',
        '/etc/rkt/paths.d/mine.json',
        '/var/lib/rkt',
        '/var/lib/rkt/mine',
      ]);
      expect(await ok('systemctl list-units --all --plain --no-legend "rkt-*"')).toBe('');
    },
    BUILDING,
  );
});
