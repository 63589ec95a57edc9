import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Host, hostSuite, startHost } from '../../lib/host.ts';
import { PATIENCE } from '../pods/host-box.ts';
import { BOX, packImage } from '../pods/image.ts';
import { boxPod, podOf, writePod } from '../units/installed.ts';
import { BUILDING, checkoutVersion, scratchFolder } from './build.ts';
import { allFiles, script } from './on-host.ts';

const { scripts }: { scripts: Record<string, string> } = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
);
/** What `npm run` runs, from the checkout; hosts have no npm. */
const npmRun = (name: string): string => `cd /src; exec ${scripts[name]}`;

const scratch = scratchFolder();
const install = `(${npmRun('install:system')})`;
const uninstall = `(${npmRun('uninstall:system')})`;
/** Spares an installation a build. */
const built = 'export DIST=/src/dist;';
const STAYS = 'echo ready; exec sleep 1000';
let host: Host;
let before: string;

beforeAll(async () => {
  host = await startHost({ kind: 'container', suite: hostSuite });
  await host.writeFile('/var/tmp/box.aci', readFileSync(packImage(scratch, {})));
  await ok('rm /usr/local/bin/rkt');
}, BUILDING);

const ok = (text: string): Promise<string> => script(host, text);
const importBox = (): Promise<string> =>
  ok('rkt --insecure-options=image image import /var/tmp/box.aci');
/** The files, not the folders, that are there now and were not before. */
async function newFiles(): Promise<string[]> {
  const old = new Set(before.split('\n'));
  const added = (await allFiles(host)).split('\n').filter((path) => !old.has(path));
  const kinds = await host.exec(['xargs', '-d\n', 'stat', '-c', '%F'], { input: added.join('\n') });
  const isFolder = kinds.stdout.split('\n').map((kind) => kind === 'directory');
  return added.filter((path, index) => path !== '' && !isFolder[index]);
}

async function writeManifest(name: string): Promise<void> {
  const app = { exec: ['/bin/sh', '-c', STAYS], user: '0', group: '0' };
  const apps = [{ name: 'box', image: { name: BOX }, app }];
  const manifest = { acKind: 'PodManifest', acVersion: '0.8.11', apps };
  await host.writeFile(`/etc/rkt/pods/${name}.json`, JSON.stringify(manifest));
}

describe('npm run install:system, onto a host', { timeout: BUILDING }, () => {
  beforeAll(async () => {
    await ok(install);
    await ok('systemctl enable --now rkt-gc.timer rkt-helper.socket');
    await ok('useradd --create-home --groups rkt member');
    await importBox();
  }, BUILDING);
  afterAll(async () => {
    await ok(uninstall);
    await ok('userdel --remove member 2>&1; rm -rf /etc/rkt /var/lib/rkt');
  }, BUILDING);

  test('rkt-pod@NAME runs the pod manifest of that name', async () => {
    await writeManifest('named');
    await ok('systemctl start rkt-pod@named');
    expect(await ok(`rkt status ${await podOf(host, 'named')}`)).toContain('state=running');
    await ok('systemctl stop rkt-pod@named');
  });

  test('a pod file is a unit, by the generator', async () => {
    await writePod(host, 'filed.pod', boxPod(STAYS));
    await ok('systemctl start filed');
    expect(await ok(`rkt status ${await podOf(host, 'filed')}`)).toContain('state=running');
    await ok('systemctl stop filed');
  });

  test('a call on the bus starts the helper', async () => {
    await ok('systemctl stop rkt-helper.service');
    const manager = 'io.rkt.Rkt1 /io/rkt/Rkt1 io.rkt.Rkt1.Manager';
    expect(await ok(`busctl get-property ${manager} Version`)).toBe(`s "${checkoutVersion}"`);
    expect(await ok(`busctl --json=short call ${manager} ListImages 'a{sv}' 0`)).toContain(BOX);
  });

  test('once more has the helper that was there before end', async () => {
    await ok('busctl get-property io.rkt.Rkt1 /io/rkt/Rkt1 io.rkt.Rkt1.Manager Version');
    expect(await ok('systemctl is-active rkt-helper.service')).toBe('active');
    await ok(`${built} ${install}`);
    expect(await ok('systemctl is-active rkt-helper.service || true')).toBe('inactive');
  });

  test('a member of group rkt may look, and nobody else', async () => {
    const list = ['rkt', 'image', 'list', '--no-legend'];
    expect(await host.ok(list, { user: 'member' })).toContain(BOX);
    expect((await host.run(list, { user: 'tester' })).code).toBe(254);
  });

  test('there are man pages, and completion for three shells', async () => {
    await ok('gzip -t /usr/share/man/man1/rkt.1.gz /usr/share/man/man5/rkt-pod.5.gz');
    const complete = '. /usr/share/bash-completion/completions/rkt; complete -p rkt';
    expect((await host.exec(['bash', '-c', complete])).stdout).toMatch(/^complete .*rkt$/m);
    await ok('test -s /usr/share/zsh/site-functions/_rkt');
    await ok('test -s /usr/share/fish/vendor_completions.d/rkt.fish');
  });
});

describe('what is installed and uninstalled', { timeout: BUILDING }, () => {
  beforeEach(async () => {
    before = await allFiles(host);
  });
  afterEach(async () => {
    await ok('rm -rf /etc/rkt /var/lib/rkt /var/tmp/image');
  });

  test('below /usr/local runs pods, its units run it there, and the bus knows it', async () => {
    await ok(`export PREFIX=/usr/local; ${install}`);
    await importBox();
    const run = ['/usr/local/bin/rkt', 'run', '--net=none', BOX, '--', 'echo hello'];
    expect(await host.ok(run)).toBe('hello');
    expect(await ok('systemctl cat rkt-gc.service')).toContain('ExecStart=/usr/local/bin/rkt gc');
    await ok('systemctl start rkt-gc.service');
    const activatable = (): Promise<string> => ok('busctl list --activatable --no-legend');
    await expect.poll(activatable, { timeout: PATIENCE }).toContain('io.rkt.Rkt1');
    await expect.poll(() => ok('pkaction'), { timeout: PATIENCE }).toContain('io.rkt.Rkt1.run-pod');
    expect(await ok('stat -c "%a %U:%G" /var/lib/rkt')).toBe('750 root:rkt');
    await ok(`export PREFIX=/usr/local; ${uninstall}`);
  });

  test('leaves what it was configured with and its data, and no other file or unit', async () => {
    await ok(`${built} ${install}`);
    await ok('systemctl enable --now rkt-gc.timer rkt-helper.socket rkt-metadata.socket');
    await ok('busctl get-property io.rkt.Rkt1 /io/rkt/Rkt1 io.rkt.Rkt1.Manager Version');
    await ok('echo {} > /etc/rkt/paths.d/mine.json; touch /var/lib/rkt/mine');
    await ok(uninstall);
    expect(await newFiles()).toEqual(['/etc/rkt/paths.d/mine.json', '/var/lib/rkt/mine']);
    expect(await ok('systemctl list-units --all --plain --no-legend "rkt-*"')).toBe('');
    expect(await ok('busctl list --activatable --no-legend')).not.toContain('io.rkt.Rkt1');
  });

  test('leaves pods running', async () => {
    await ok(`${built} ${install}`);
    await importBox();
    await writeManifest('stays');
    await ok('systemctl start rkt-pod@stays');
    await ok(uninstall);
    expect(await ok('systemctl is-active rkt-pod@stays')).toBe('active');
    await ok('systemctl stop rkt-pod@stays');
    await ok('/src/dist/rkt gc --grace-period=0s 2>&1');
  });

  test("installed again, keeps the vendor's and the administrator's configuration", async () => {
    await ok(`${built} ${install}`);
    await ok('mkdir -p /usr/lib/rkt/paths.d; echo {} > /usr/lib/rkt/paths.d/vendor.json');
    await ok('echo {} > /etc/rkt/paths.d/mine.json');
    const compiled = await ok('ls /usr/lib/rkt/lib');
    await ok(`${built} ${install}`);
    expect(await ok('ls /usr/lib/rkt/lib')).toBe(compiled);
    await ok(uninstall);
    const kept = ['/etc/rkt/paths.d/mine.json', '/usr/lib/rkt/paths.d/vendor.json'];
    expect(await newFiles()).toEqual(kept);
    await ok('rm -r /usr/lib/rkt');
  });

  test('with DESTDIR is all below it, and nothing of the host changes', async () => {
    const target = 'export DESTDIR=/var/tmp/image PREFIX=/usr/local;';
    await ok(`${target} ${install}`);
    expect(await allFiles(host)).toBe(before);
    expect(await ok('/var/tmp/image/usr/local/bin/rkt version')).toContain('rkt Version: ');
    // What compiles the code is the node of the host that it is for.
    expect(await ok('find /var/tmp/image -name "*.js.v*"')).toBe('');
    await ok(`${target} ${uninstall}`);
    expect(await ok('find /var/tmp/image ! -type d')).toBe('');
  });

  test('is refused to be taken away where it is not', async () => {
    const { code, stderr } = await host.exec(['sh', '-c', uninstall]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'uninstall: no rkt is installed in /usr/lib/rkt\n',
    });
  });
});
