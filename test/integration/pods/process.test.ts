import { beforeAll, describe, expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\nweb:x:1001:1002:Web:/srv:/bin/sh\n';
const box = new Box({
  name: 'example.org/users',
  files: {
    '/etc/passwd': PASSWD,
    '/etc/group': 'root:x:0:\nweb:x:1002:\nstaff:x:50:\n',
    '/srv/data': { text: '', uid: 777, gid: 888 },
    '/srv/link': { link: '/srv/data' },
    '/srv/tool': { text: '#!/bin/sh\necho "srv $0"\n', mode: 0o755 },
    '/opt/bin/tool': { text: '#!/bin/sh\necho "opt $0"\n', mode: 0o755 },
    '/opt/plain/tool': { text: 'not a program', mode: 0o644 },
    '/opt/alias': { link: '/opt/bin' },
  },
});
const image = 'example.org/users';

/** NUL-separated output as a list. */
function words(output: string): string[] {
  return output.split('\0').slice(0, -1);
}

describe('arguments', () => {
  const tricky = [
    '%n %%',
    '$HOME $PATH $$ $(id)',
    '"double" and \'single\'',
    'back\\slash \\x41 \\n',
    'line\nbreak\tand tab',
    '',
    ' ',
    'ünïcödé ✓ 🚀',
    ';',
    '-',
    '@',
    '--flag=x',
    '--',
    '#',
    '~',
    '*',
    '\u0001\u007f',
  ];

  test('reach the app unchanged', async () => {
    const args = ['--exec=/bin/sh', '--', '-c', 'printf "%s\\0" "$@"', 'sh', ...tricky];
    const { stdout } = await box.runPod([image, ...args]);
    expect(words(stdout)).toEqual(tricky);
  });

  test('that are long reach the app unchanged', async () => {
    const long = 'x'.repeat(100_000);
    const { stdout } = await box.runPod([BOX, '--', 'printf %s "$0" | wc -c', long]);
    expect(stdout.trim()).toBe('100000');
  });

  test('of the image come before those of the command line', async () => {
    const { stdout } = await box.runPod([BOX, '--', 'echo "$0 $1"', 'a', 'b']);
    expect(stdout).toBe('a b\n');
  });

  test("after a second -- in the list are the app's", async () => {
    const { stdout } = await box.runPod([BOX, '--', 'echo "$0 $1 $2"', 'a', '--', 'b']);
    expect(stdout).toBe('a -- b\n');
  });
});

describe('environment', () => {
  test("is the base set and the app's name, and nothing else", async () => {
    const { stdout } = await box.runSection({ exec: ['/bin/env'] });
    expect(stdout.trim().split('\n').sort()).toEqual([
      'AC_APP_NAME=box',
      'HOME=/root',
      'LOGNAME=root',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'SHELL=/bin/sh',
      'USER=root',
      'container=rkt',
    ]);
  });

  test('of the app wins over the base set, but not over AC_APP_NAME', async () => {
    const environment = [
      { name: 'HOME', value: '/srv' },
      { name: 'AC_APP_NAME', value: 'forged' },
    ];
    const { stdout } = await box.runSection({ exec: ['/bin/env'], environment });
    expect(stdout).toContain('HOME=/srv\n');
    expect(stdout).toContain('AC_APP_NAME=box\n');
    expect(stdout).not.toContain('forged');
  });

  test.each([
    ['percent', '%n 100%'],
    ['dollar', '$HOME $X $$ $(id)'],
    ['quotes', '"a" \'b\''],
    ['backslash', '\\ \\n \\x41'],
    ['newline', 'one\ntwo'],
    ['tab', 'a\tb'],
    ['empty', ''],
    ['unicode', 'grüß ✓ 🚀'],
    ['spaces', '  a  b  '],
    ['equals', 'a=b=c'],
  ])('value with %s arrives unchanged', async (_, value) => {
    const { stdout } = await box.run('printf "%s" "$VALUE"', {
      app: [`--environment=VALUE=${value}`],
    });
    expect(stdout).toBe(value);
  });

  test('wins from low to high: inherited, file, --set-env, --environment', async () => {
    const file = box.file('# comment\n; comment\n\nB=file\nC=file\nD=file=x\n');
    const { stdout } = await box.run('echo "$A $B $C $D"', {
      env: { A: 'inherited', B: 'inherited', C: 'inherited' },
      pod: ['--inherit-env', `--set-env-file=${file}`, '--set-env=C=set'],
      app: ['--environment=B=app'],
    });
    expect(stdout).toBe('inherited app set file=x\n');
  });

  test('of the caller stays out without --inherit-env', async () => {
    const { stdout } = await box.run('echo "[$SECRET]"', { env: { SECRET: 'x' } });
    expect(stdout).toBe('[]\n');
  });
});

describe('user and group', () => {
  test.each([
    ['names', 'web', 'staff', '1001 50'],
    ['numbers that nobody has', '4711', '4712', '4711 4712'],
    ['the owner of a path', '/srv/data', '/srv/data', '777 888'],
    ['a name and the group of its name', 'web', 'web', '1001 1002'],
  ])('by %s', async (_, user, group, ids) => {
    const flags = [`--user=${user}`, `--group=${group}`];
    const { stdout } = await box.run('echo $(id -u) $(id -g)', { image, app: flags });
    expect(stdout).toBe(`${ids}\n`);
  });

  test('supplementary ones are numbers', async () => {
    const app = ['--user=web', '--group=web', '--supplementary-gids=50,4000'];
    const { stdout } = await box.run('grep Groups /proc/self/status', { image, app });
    expect(stdout.trim().split(/\s+/).slice(1).sort()).toEqual(
      expect.arrayContaining(['4000', '50']),
    );
    expect(stdout).not.toMatch(/\b0\b/);
  });

  test.each([
    ['user', 'nobody-here'],
    ['group', 'nobody-here'],
    ['user', '/srv/missing'],
  ])('an unknown %s %s is an error that names it and the app', async (kind, name) => {
    const { code, stderr } = await box.run('true', { image, app: [`--${kind}=${name}`] });
    expect(code).toBe(254);
    expect(stderr).toContain(name);
    expect(stderr).toContain('users');
    expect(stderr).toContain(kind);
  });
});

describe('program', () => {
  /** Runs the pod whose one app is `exec` of the image. */
  const exec = (section: Readonly<Record<string, unknown>>) => box.runSection(section, { image });
  const PATH = (value: string) => [{ name: 'PATH', value }];

  test('with a slash is below the working directory', async () => {
    const section = { exec: ['bin/tool'], workingDirectory: '/opt' };
    expect((await exec(section)).stdout).toBe('opt /opt/bin/tool\n');
  });

  test("without one is looked up in the app's PATH, in its order", async () => {
    const section = { exec: ['tool'], environment: PATH('/none:/opt/plain:/opt/alias:/srv:/bin') };
    expect((await exec(section)).stdout).toBe('opt /opt/alias/tool\n');
  });

  test('without a PATH is looked up in the working directory first, then /bin', async () => {
    expect((await exec({ exec: ['tool'], workingDirectory: '/srv' })).stdout).toBe(
      'srv /srv/tool\n',
    );
    expect((await exec({ exec: ['echo', 'found'] })).stdout).toBe('found\n');
  });

  test('that is in no folder of PATH is an error that names both', async () => {
    const { code, stderr } = await exec({ exec: ['tool'], environment: PATH('/none:/opt/plain') });
    expect(code).toBe(254);
    expect(stderr).toContain('unable to find "tool"');
    expect(stderr).toContain('"/none:/opt/plain"');
  });

  test('without a word is an error that tells of --exec', async () => {
    const { code, stderr } = await exec({ exec: [] });
    expect(code).toBe(254);
    expect(stderr).toContain('--exec');
  });
});

describe('process', () => {
  let facts: string[] = [];
  beforeAll(async () => {
    const script = 'pwd; umask; grep SigIgn /proc/self/status; ls /proc/self/fd | wc -l; echo $$';
    const { stdout } = await box.run(script);
    facts = stdout.trim().split('\n');
  });

  test('starts in / when the image names no working directory', () => {
    expect(facts[0]).toBe('/');
  });

  test('has the umask 022', () => {
    expect(facts[1]).toBe('0022');
  });

  test('ignores no signals', () => {
    expect(facts[2]).toBe('SigIgn:\t0000000000000000');
  });

  test('has no descriptors but its three and its own', () => {
    expect(facts[3]).toBe('4');
  });

  test('starts in the working directory that is asked for', async () => {
    const { stdout } = await box.run('pwd', { app: ['--working-dir=/bin'] });
    expect(stdout).toBe('/bin\n');
  });

  test('starts in a working directory that is written in a roundabout way', async () => {
    const app = ['--working-dir=/usr/..//bin/.'];
    const { stdout } = await box.run('pwd', { app });
    expect(stdout).toBe('/bin\n');
  });
});

describe('event handlers', () => {
  test('run as root before the app starts and after it has ended', async () => {
    const { code, stdout } = await box.runSection(
      {
        exec: ['/bin/sh', '-c', 'echo app $(id -u)'],
        user: '1001',
        group: '1002',
        eventHandlers: [
          { name: 'pre-start', exec: ['/bin/sh', '-c', 'echo before $(id -u)'] },
          { name: 'post-stop', exec: ['/bin/sh', '-c', 'echo after $(id -u)'] },
        ],
      },
      { image },
    );
    expect(stdout).toBe('before 0\napp 1001\nafter 0\n');
    expect(code).toBe(0);
  });

  test('a failing pre-start keeps the app from starting and fails the pod', async () => {
    const { code, stdout } = await box.runSection({
      exec: ['/bin/echo', 'started'],
      eventHandlers: [{ name: 'pre-start', exec: ['/bin/sh', '-c', 'exit 6'] }],
    });
    expect(stdout).toBe('');
    expect(code).toBe(6);
  });

  test('post-stop runs after a failing app too, whose status stays', async () => {
    const { code, stdout } = await box.runSection({
      exec: ['/bin/sh', '-c', 'exit 8'],
      eventHandlers: [{ name: 'post-stop', exec: ['/bin/echo', 'after'] }],
    });
    expect(stdout).toBe('after\n');
    expect(code).toBe(8);
  });
});

test.each([
  ['--working-dir=/\nRootDirectory=/', /does not fit on a line/],
  ['--user=4294967295', /out of range/],
  ['--exec=/bin/', /not a path/],
])('%j is refused and nothing is started', async (flag, message) => {
  const { code, stderr } = await box.runPod([BOX, flag]);
  expect(stderr).toMatch(message);
  expect(code).toBe(254);
});
