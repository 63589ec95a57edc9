import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Host, hostSuite, startHost } from '../../lib/host.ts';
import { PATIENCE } from '../pods/host-box.ts';
import { BOX, packImage } from '../pods/image.ts';
import { BUILDING, scratchFolder } from './build.ts';
import { allFiles, script } from './on-host.ts';

const scratch = scratchFolder();
const install = '/src/packaging/install';
const uninstall = '/src/packaging/uninstall';
let host: Host;
let before: string;

beforeAll(async () => {
  host = await startHost({ kind: 'container', suite: hostSuite });
  await host.writeFile('/var/tmp/box.aci', readFileSync(packImage(scratch, {})));
  await ok('rm /usr/local/bin/rkt');
}, BUILDING);
beforeEach(async () => {
  before = await allFiles(host);
});
afterEach(async () => {
  await ok('rm -rf /etc/rkt /var/lib/rkt /var/tmp/image');
});

const ok = (text: string): Promise<string> => script(host, text);

/** The files, not the folders, that are there now and were not before. */
async function newFiles(): Promise<string[]> {
  const old = new Set(before.split('\n'));
  const added = (await allFiles(host)).split('\n').filter((path) => !old.has(path));
  const kinds = await host.exec(['xargs', '-d\n', 'stat', '-c', '%F'], { input: added.join('\n') });
  const isFolder = kinds.stdout.split('\n').map((kind) => kind === 'directory');
  return added.filter((path, index) => path !== '' && !isFolder[index]);
}

test(
  'below /usr/local it runs pods, its units run it there, and the bus knows it',
  async () => {
    await ok(`PREFIX=/usr/local ${install}`);
    await ok('rkt --insecure-options=image image import /var/tmp/box.aci');
    const run = ['/usr/local/bin/rkt', 'run', '--net=none', BOX, '--', 'echo hello'];
    expect(await host.ok(run)).toBe('hello');
    expect(await ok('systemctl cat rkt-gc.service')).toContain('ExecStart=/usr/local/bin/rkt gc');
    await ok('systemctl start rkt-gc.service');
    const activatable = (): Promise<string> => ok('busctl list --activatable --no-legend');
    await expect.poll(activatable, { timeout: PATIENCE }).toContain('io.rkt.Rkt1');
    await expect.poll(() => ok('pkaction'), { timeout: PATIENCE }).toContain('io.rkt.Rkt1.run-pod');
    expect(await ok('stat -c "%a %U:%G" /var/lib/rkt')).toBe('750 root:rkt');
    await ok(`PREFIX=/usr/local ${uninstall}`);
  },
  BUILDING,
);

test(
  'uninstalled, it leaves what it was configured with and its data, and no other file',
  async () => {
    await ok(install);
    await ok('echo {} > /etc/rkt/paths.d/mine.json; touch /var/lib/rkt/mine');
    await ok('systemctl enable --now rkt-gc.timer');
    await ok(uninstall);
    expect(await newFiles()).toEqual(['/etc/rkt/paths.d/mine.json', '/var/lib/rkt/mine']);
    expect(await ok('systemctl list-units --all --plain --no-legend "rkt-*.timer"')).toBe('');
  },
  BUILDING,
);

test(
  "installed again, it keeps the vendor's and the administrator's configuration",
  async () => {
    await ok(install);
    await ok('mkdir -p /usr/lib/rkt/paths.d; echo {} > /usr/lib/rkt/paths.d/vendor.json');
    await ok('echo {} > /etc/rkt/paths.d/mine.json');
    const compiled = await ok('ls /usr/lib/rkt/lib');
    await ok(install);
    expect(await ok('ls /usr/lib/rkt/lib')).toBe(compiled);
    await ok(uninstall);
    const kept = ['/etc/rkt/paths.d/mine.json', '/usr/lib/rkt/paths.d/vendor.json'];
    expect(await newFiles()).toEqual(kept);
    await ok('rm -r /usr/lib/rkt');
  },
  BUILDING,
);

test(
  'with DESTDIR everything is below it, and nothing of the host changes',
  async () => {
    await ok(`DESTDIR=/var/tmp/image PREFIX=/usr/local ${install}`);
    expect(await allFiles(host)).toBe(before);
    expect(await ok('/var/tmp/image/usr/local/bin/rkt version')).toContain('rkt Version: ');
    // What compiles the code is the node of the host that it is for.
    expect(await ok('find /var/tmp/image -name "*.js.v*"')).toBe('');
    await ok(`DESTDIR=/var/tmp/image PREFIX=/usr/local ${uninstall}`);
    expect(await ok('find /var/tmp/image ! -type d')).toBe('');
  },
  BUILDING,
);

test('uninstalling what is not there is refused', async () => {
  const { code, stderr } = await host.exec([uninstall]);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'uninstall: no rkt is installed in /usr/lib/rkt\n',
  });
});
