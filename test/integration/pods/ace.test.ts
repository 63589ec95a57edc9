// The validator of test/ace, as main app and side app of one pod, and as the app of a fly pod. @vm
import { beforeAll, describe, expect, test } from 'vitest';
import { checks, checksOf, type Role } from '../../ace/checks.ts';
import { aceImages, MAIN, SIDE, UNKNOWN } from '../../ace/images.ts';
import { startHost } from '../../lib/host.ts';
import type { Result } from '../../lib/running.ts';
import { FLY } from './host-box.ts';

const host = await startHost();

const args = (role: Role) => ['--', role, ...checksOf(role).map(String), '---'];
const mount = (volume: string, target: string) => `--mount=volume=${volume},target=${target}`;
const hostVolume = (name: string, source: string, more = '') =>
  `--volume=${name},kind=host,source=/srv/ace/${source}${more}`;

const volumes = [
  hostVolume('host', 'data'),
  hostVolume('ro', 'data', ',readOnly=true'),
  hostVolume('conf', 'conf'),
];
const mainMounts = [
  mount('host', '/full'),
  mount('ro', '/ro'),
  mount('conf', '/conf/file'),
  mount('shared', '/deep/down/shared'),
  mount('way', '/in-the-way'),
];
const main = [MAIN, ...mainMounts];

const nspawnPod = [
  ...['--net=none', ...volumes, '--volume=shared,kind=empty', '--volume=way,kind=empty'],
  ...[...main, ...args('main')],
  ...[SIDE, '--name=sidekick', '--readonly-rootfs=true', mount('host', '/host')],
  ...[mount('shared', '/shared'), '--caps-remove=CAP_KILL,CAP_NET_RAW,CAP_SYS_ADMIN'],
  ...['--seccomp=mode=remove,errno=ENOTSUP,mkdir,mkdirat', ...args('side')],
  ...[SIDE, '--name=third', '--caps-retain=CAP_NET_ADMIN,CAP_NET_BIND_SERVICE'],
  ...['--seccomp=mode=retain,errno=ENOTSUP,@rkt/default-whitelist', ...args('third')],
];
const flyPod = [
  ...['--net=host', FLY, ...volumes, hostVolume('shared', 'shared'), hostVolume('way', 'way')],
  ...[...main, ...args('fly')],
];

/** The line that the validator printed for a check, by role and number. */
const printed = new Map<string, string>();
let nspawn: Result;
let fly: Result;

/** Runs a pod twice, since some checks are about what the first run has left. */
async function validate(pod: readonly string[]): Promise<Result> {
  await host.run(['rkt', 'run', ...pod]);
  const result = await host.run(['rkt', 'run', ...pod]);
  for (const line of result.stdout.split('\n')) {
    const [, key] = /^(?:not )?ok (\S+ \d+) /.exec(line) ?? [];
    if (key) printed.set(key, line);
  }
  return result;
}

beforeAll(async () => {
  const files = aceImages().map((bytes, index) => ({ bytes, path: `/var/tmp/ace-${index}.aci` }));
  for (const { path, bytes } of files) await host.writeFile(path, bytes);
  const paths = files.map(({ path }) => path);
  await host.ok(['rkt', '--insecure-options=image', 'image', 'import', ...paths]);
  await host.ok(['mkdir', '-p', '/srv/ace/data', '/srv/ace/shared', '/srv/ace/way']);
  await host.writeFile('/srv/ace/data/of-the-host', 'of the host\n');
  await host.writeFile('/srv/ace/conf', 'setting\n');
  nspawn = await validate(nspawnPod);
  fly = await validate(flyPod);
});

const roles: readonly Role[] = ['main', 'side', 'third', 'pre-start', 'post-stop', 'fly'];

describe.each(roles)('%s', (role) => {
  const own = checksOf(role).map((number) => ({ number, ...checks[number] }));
  test.each(own)('$section: $sentence', ({ number, section, sentence }) => {
    const all = `${nspawn.stderr}${fly.stderr}`;
    expect(printed.get(`${role} ${number}`) ?? `nothing was printed; ${all}`).toBe(
      `ok ${role} ${number} ${section}: ${sentence}`,
    );
  });
});

test('the validator fails where nothing is as it says', async () => {
  const numbers = checksOf('main').map(String);
  const flags = ['--readonly-rootfs=true', '--working-dir=/work', '--caps-retain=CAP_KILL'];
  const wrong = [...flags, '--environment=PATH=/bin', '--name=wrong'];
  const rkt = ['rkt', 'run', '--net=none', SIDE, ...wrong, '--', 'main', ...numbers];
  const { stdout } = await host.run(rkt);
  const passed = stdout.split('\n').filter((line) => line.startsWith('ok '));
  expect(passed.map((line) => line.replace(/^ok main \d+ /, ''))).toEqual([
    'Pod UUID: each pod is assigned an RFC 4122 UUID',
    'Filesystem Setup: every execution of an app starts from a clean copy of the rendered filesystem',
    'Network Setup: a pod has a loopback network interface',
    'Network Setup: each network interface is configured with one or more addresses',
    'Logging: stdout and stderr are there to be written, and to be opened',
    'Apps Perspective: Execution Environment: container is set',
  ]);
});

describe('from outside', () => {
  test('Pod UUID: the UUID is the reference to the pod, which the app sees', async () => {
    const list: unknown = JSON.parse(await host.ok(['rkt', 'list', '--format=json']));
    const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(list).toContainEqual(expect.objectContaining({ name: uuid }));
  });

  test('Logging: stdout and stderr are captured, each as itself', () => {
    for (const role of ['main', 'side', 'third']) {
      expect(nspawn.stderr).toContain(`${role} has written to stderr`);
      expect(nspawn.stdout).not.toContain(`${role} has written to stderr`);
    }
    expect(fly.stderr).toContain('fly has written to stderr');
  });

  test.each(['/full', '/in-the-way'])(
    'Volume Setup: the user is warned that existing files are masked at %s',
    (path) => {
      expect(nspawn.stderr).toMatch(new RegExp(`warning: .*hides what the image has at ${path}`));
    },
  );

  test.each([
    ['nspawn', ['--net=none']],
    ['fly', ['--net=host', FLY]],
  ])('Volume Setup: a missing source is an error, and is not created: %s', async (_, flags) => {
    const volume = hostVolume('missing', 'missing');
    const rkt = ['rkt', 'run', ...flags, volume, SIDE, mount('missing', '/missing')];
    const { code, stderr } = await host.run([...rkt, '--exec=/bin/true']);
    expect(code).toBe(254);
    expect(stderr).toContain('/srv/ace/missing does not exist on this host');
    expect((await host.run(['ls', '/srv/ace'])).stdout).toBe('conf\ndata\nshared\nway\n');
  });

  test('Filesystem Setup: an app of the fly flavour has a read-only rootfs when it asks', async () => {
    const flags = ['--net=host', FLY, hostVolume('host', 'data'), SIDE, mount('host', '/host')];
    const script = 'touch /x 2>/dev/null || echo refused; touch /host/x && echo fine';
    const app = ['--readonly-rootfs=true', '--exec=/bin/sh', '--', '-c', script];
    expect(await host.ok(['rkt', 'run', ...flags, ...app])).toBe('refused\nfine');
  });

  test('Isolators: which isolators were ignored is told', async () => {
    const rkt = ['rkt', 'run', '--net=none', UNKNOWN];
    const { code, stderr } = await host.run(rkt);
    expect(code).toBe(0);
    expect(stderr).toMatch(/warning: .*example.org\/unknown, which is ignored/);
  });
});
