import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const box = new Box();
const program = fileURLToPath(new URL('../../../dist/rkt', import.meta.url));

/** Variables as `env -0` prints them. */
function variables(output: string): Map<string, string> {
  const entries = output.split('\0').filter((entry) => entry.includes('='));
  return new Map(
    entries.map((entry) => {
      const at = entry.indexOf('=');
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

describe('a variable whose name is no shell name', () => {
  const environment = [
    { name: 'a.b', value: 'dot' },
    { name: 'c-d', value: 'two\nlines, 100% "$HOME" \\n' },
    { name: 'E.F-g', value: '' },
    { name: 'PLAIN', value: 'plain' },
  ];

  test('reaches the app unchanged, beside all others', async () => {
    const { stdout, stderr, code } = await box.runSection({
      exec: ['/bin/env', '-0'],
      environment,
    });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const found = variables(stdout);
    for (const { name, value } of environment)
      expect([name, found.get(name)]).toEqual([name, value]);
    expect(found.get('AC_APP_NAME')).toBe('box');
    expect(found.get('HOME')).toBe('/root');
  });

  test('reaches event handlers too', async () => {
    const { stdout } = await box.runSection({
      exec: ['/bin/true'],
      environment,
      eventHandlers: [{ name: 'pre-start', exec: ['/bin/env', '-0'] }],
    });
    expect(variables(stdout).get('a.b')).toBe('dot');
  });

  test('reaches an app of another user, whose arguments and exit status stay as they are', async () => {
    const script = 'printf "%s|" "$0" "$@"; id -u; exit 7';
    const exec = ['/bin/sh', '-c', script, '', 'a=b', '', 'x y'];
    const section = { exec, user: '1001', group: '1001', environment };
    const { stdout, code } = await box.runSection(section);
    expect(stdout).toBe('|a=b||x y|1001\n');
    expect(code).toBe(7);
  });

  test('reaches an app with the narrowest filter', async () => {
    const isolators = [
      {
        name: 'os/linux/seccomp-retain-set',
        value: { set: ['@systemd/default-whitelist', 'write'], errno: 'EPERM' },
      },
      { name: 'os/linux/no-new-privileges', value: true },
    ];
    const section = { exec: ['/bin/env', '-0'], environment, isolators };
    expect(variables((await box.runSection(section)).stdout).get('c-d')).toBe(
      environment[1]?.value,
    );
  });

  test('costs the others nothing: no launcher is there without it', async () => {
    const { stdout } = await box.run('ls /run/rkt 2>/dev/null; echo end');
    expect(stdout).toBe('end\n');
  });

  test('comes with a launcher that the app cannot change', async () => {
    const { stdout } = await box.run('echo x > /run/rkt/launcher || echo refused', {
      app: ['--environment=a.b=c'],
    });
    expect(stdout).toBe('refused\n');
  });
});

describe('event handlers', () => {
  const handler = (name: string, script: string) => ({ name, exec: ['sh', '-c', script] });

  test("have the app's environment and working directory", async () => {
    const { stdout } = await box.runSection({
      exec: ['/bin/true'],
      workingDirectory: '/bin',
      environment: [{ name: 'X', value: '1' }],
      eventHandlers: [
        handler('pre-start', 'echo before $AC_APP_NAME $container $X $PWD'),
        handler('post-stop', 'echo after $AC_APP_NAME $container $X $PWD'),
      ],
    });
    expect(stdout).toBe('before box rkt 1 /bin\nafter box rkt 1 /bin\n');
  });

  test('are looked up as the app is', async () => {
    const { stdout } = await box.runSection({
      exec: ['/bin/true'],
      workingDirectory: '/bin',
      eventHandlers: [{ name: 'pre-start', exec: ['./echo', 'found'] }],
    });
    expect(stdout).toBe('found\n');
  });

  test('are not run by fly, which says so', async () => {
    const { stdout, stderr } = await box.runSection(
      { exec: ['/bin/echo', 'app'], eventHandlers: [handler('pre-start', 'echo before')] },
      { pod: ['--net=host', '--stage1-name=coreos.com/rkt/stage1-fly'] },
    );
    expect(stdout).toBe('app\n');
    expect(stderr).toContain('event handlers of app "box" are not run');
  });

  test('that are not there are an error that names them', async () => {
    const { stderr, code } = await box.runSection({
      exec: ['/bin/true'],
      eventHandlers: [{ name: 'post-stop', exec: ['nothing'] }],
    });
    expect(code).toBe(254);
    expect(stderr).toContain('unable to find "nothing"');
  });
});

describe('/dev/stdout and /dev/stderr can be opened', () => {
  const script = 'echo out > /dev/stdout; echo err > /dev/stderr';

  test.each([['0'], ['1001']])('by user %s', async (user) => {
    const app = [`--user=${user}`, `--group=${user}`];
    expect(await box.run(script, { app })).toMatchObject({ stdout: 'out\n', stderr: 'err\n' });
  });
});

test("the caller's umask reaches neither the app nor what is made for it", async () => {
  const script =
    'umask; cat /etc/hostname && stat -c "%a %n" / /tmp /data /run /deep /deep/down; cat /etc/hosts';
  const flags = ['--user=1001', '--group=1001', '--hostname=me'];
  const rkt = [`--dir=${box.local.dir}`, 'run', '--net=none', '--volume=data,kind=empty', BOX];
  const mounts = ['--mount=volume=data,target=/data', '--mount=volume=data,target=/deep/down/it'];
  const run = box.local.startProgram('sh', [
    '-c',
    'umask 077; exec "$@"',
    'sh',
    program,
    ...rkt,
    ...flags,
    ...mounts,
    '--',
    script,
  ]);
  const { stdout, stderr } = await run.done;
  expect(stderr).toBe('');
  expect(stdout).toMatch(
    /^0022\nme\n755 \/\n1777 \/tmp\n755 \/data\n755 \/run\n755 \/deep\n755 \/deep\/down\n127/,
  );
});
