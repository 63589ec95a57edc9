import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Result, Running } from '../../lib/running.ts';
import { Box, type StartedPod } from './box.ts';
import { BOX, type ImageSpec } from './image.ts';

const PROGRAM = fileURLToPath(new URL('../../../dist/rkt', import.meta.url));
const FLY = '--stage1-name=coreos.com/rkt/stage1-fly';

const STAY = 'echo ready; exec sleep 1000';
const USER = 'example.org/user';
const SWAP = 'example.org/swap';
const SHEBANG = 'example.org/shebang';
const FOREIGN = 'example.org/stage1-foreign';

/** A stage1 of shell scripts, whose `enter` tells how it was called. */
const foreign: ImageSpec = {
  name: FOREIGN,
  annotations: ['run', 'enter', 'gc', 'stop'].map((entry) => ({
    name: `coreos.com/rkt/stage1/${entry}`,
    value: `/${entry}`,
  })),
  busybox: false,
  files: {
    '/run': {
      text: "#!/bin/sh\necho $$ > pid\ntrap 'exit 0' TERM\necho ready\nwhile :; do sleep 0.05; done\n",
      mode: 0o755,
    },
    '/enter': { text: '#!/bin/sh\npwd\necho "$0"\nprintf \'%s\\n\' "$@"\nexit 5\n', mode: 0o755 },
    '/gc': { text: '#!/bin/sh\n', mode: 0o755 },
    '/stop': { text: '#!/bin/sh\nkill "$(cat pid)"\n', mode: 0o755 },
  },
};

const box = new Box(
  {
    name: USER,
    app: {
      user: '1000',
      group: '1001',
      supplementaryGIDs: [7, 8],
      workingDirectory: '/home/it',
      environment: [
        { name: 'COLOUR', value: 'blue' },
        { name: 'LINES_OF', value: 'one\ntwo' },
      ],
    },
    files: { '/home/it': { folder: true } },
  },
  { name: SWAP, app: { workingDirectory: '/work' }, files: { '/work': { folder: true } } },
  { name: SHEBANG, files: { '/evil': { text: '#!/proc/self/exe\n', mode: 0o755 } } },
  foreign,
);

/** Pods that a describe block's tests share; each is killed at its end. */
function sharedPod(start: () => StartedPod): () => StartedPod {
  let pod: StartedPod | undefined;
  beforeAll(async () => {
    pod = start();
    await pod.running.printed(/ready/);
  });
  afterAll(async () => {
    await box.local.rkt(['stop', '--force', pod?.uuid ?? '']);
    await pod?.running.done;
  });
  return () => {
    if (!pod) throw new Error('the pod has not been started');
    return pod;
  };
}

function enter(pod: StartedPod, ...words: readonly string[]): Promise<Result> {
  return box.local.rkt(['enter', pod.uuid, ...words]);
}

function exec(pod: StartedPod, ...words: readonly string[]): Promise<Result> {
  return box.local.rkt(['app', 'exec', pod.uuid, ...words]);
}

/** Runs a shell command line of the host on a terminal of its own; `rkt` is the function to call. */
function onTerminal(script: string, env: Record<string, string> = {}) {
  const prelude = `rkt() { ${PROGRAM} --dir=${box.local.dir} "$@"; }\n`;
  const file = box.file(prelude + script);
  const child = spawn('script', ['-qec', `sh ${file}`, '/dev/null'], {
    env: { ...process.env, ...env },
  });
  // Its input stays open: an end would be typed, as control-D.
  return new Running('script', child, 120_000, async () => void child.kill('SIGKILL'));
}

describe('a command in an app', () => {
  const pod = sharedPod(() => box.start(STAY));

  test.each([0, 3, 255])('gives its exit status %i', async (code) => {
    expect((await enter(pod(), 'sh', '-c', `exit ${code}`)).code).toBe(code);
    expect((await exec(pod(), 'sh', '-c', `exit ${code}`)).code).toBe(code);
  });

  test('that a signal kills gives 128 plus the signal', async () => {
    expect((await enter(pod(), 'sh', '-c', 'kill -KILL $$')).code).toBe(137);
  });

  test('has the streams of the caller', async () => {
    const script = 'cat; echo error >&2';
    const result = await box.local.rkt(['enter', pod().uuid, 'sh', '-c', script], { input: 'in' });
    expect(result).toMatchObject({ stdout: 'in', stderr: 'error\n', code: 0 });
  });

  test('passes on a megabyte from a file to a file', async () => {
    const [from, to] = [box.file('x'.repeat(1 << 20)), box.file('')];
    const line = `"$0" --dir="$1" enter "$2" cat < ${from} > ${to}`;
    spawnSync('sh', ['-c', line, PROGRAM, box.local.dir, pod().uuid]);
    expect(readFileSync(to).equals(readFileSync(from))).toBe(true);
  });

  test('gets its words as they are, flags and dashes too', async () => {
    const words = ['--help', '', 'a b', '--', '--app=x', '%s$HOME'];
    const { stdout } = await enter(pod(), 'sh', '-c', 'printf "[%s]" "$@"', 'sh', ...words);
    expect(stdout).toBe(words.map((word) => `[${word}]`).join(''));
  });

  test('may stand behind two dashes', async () => {
    expect((await enter(pod(), '--', 'echo', 'yes')).stdout).toBe('yes\n');
  });

  test('gets the signals that rkt gets', async () => {
    const running = box.local.start([
      'enter',
      pod().uuid,
      'sh',
      '-c',
      'trap "exit 9" TERM; echo on; while :; do sleep 0.05; done',
    ]);
    await running.printed(/on/);
    await running.kill('SIGTERM');
    expect((await running.done).code).toBe(9);
  });

  test('that is not there is named, with 254', async () => {
    const { code, stderr } = await enter(pod(), 'nothing-here');
    expect(stderr).toBe('rkt: enter: cannot execute "nothing-here" in app "box": ENOENT\n');
    expect(code).toBe(254);
  });

  test('is /bin/bash when none is named, as a note says', async () => {
    const { stderr } = await enter(pod());
    expect(stderr).toContain('no command specified, assuming "/bin/bash"');
    expect(stderr).toContain('cannot execute "/bin/bash"');
  });

  test('ends when rkt is killed', async () => {
    const running = box.local.start(['enter', pod().uuid, 'sh', '-c', 'echo on; exec sleep 7777']);
    await running.printed(/on/);
    await running.kill('SIGKILL');
    await running.done;
    await expect.poll(async () => (await enter(pod(), 'ps')).stdout).not.toContain('sleep 7777');
  });

  test('runs beside the app, in all of its namespaces', async () => {
    const main =
      'for p in /proc/[0-9]*; do grep -qs "[s]leep.1000" $p/cmdline && busybox basename $p; done';
    const { stdout } = await enter(
      pod(),
      'sh',
      '-c',
      `main=$(${main}); for p in $main $$; do for n in cgroup ipc mnt net pid user uts; do readlink /proc/$p/ns/$n; done; done`,
    );
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(14);
    expect(lines.slice(0, 7)).toEqual(lines.slice(7));
  });
});

describe('which pod and app', () => {
  const pod = sharedPod(() =>
    box.startPod([BOX, '--name=one', '--', STAY, '---', BOX, '--name=two', '--', STAY]),
  );

  test('several apps are listed when none is chosen', async () => {
    const { code, stderr } = await enter(pod(), 'true');
    expect(stderr).toContain('has several apps (one, two): choose one with --app');
    expect(code).toBe(254);
  });

  test('an app is chosen by --app', async () => {
    const { stdout } = await box.local.rkt(['enter', '--app=two', pod().uuid, 'env']);
    expect(stdout).toContain('AC_APP_NAME=two\n');
  });

  test('an unknown app is an error', async () => {
    const { code, stderr } = await box.local.rkt(['enter', '--app=three', pod().uuid, 'true']);
    expect(stderr).toContain('has no app "three", but one, two');
    expect(code).toBe(254);
  });

  test('a pod that does not run is an error', async () => {
    const uuid = await box.prepare();
    const { code, stderr } = await box.local.rkt(['enter', uuid, 'true']);
    expect(stderr).toContain('is not running: it is prepared');
    expect(code).toBe(254);
  });
});

test('an app that has ended cannot be entered while the others run', async () => {
  const script = 'echo ready; while :; do sleep 0.05; done';
  const args = [BOX, '--name=ends', '--', 'true', '---', BOX, '--name=stays', '--', script];
  const pod = box.startPod(args);
  await pod.running.printed(/ready/);
  await expect.poll(() => pod.status('ends')).toBe('0\n');
  const { code, stderr } = await box.local.rkt(['enter', '--app=ends', pod.uuid, 'true']);
  expect(stderr).toContain('app "ends" is not running');
  expect(code).toBe(254);
  await box.local.rkt(['stop', '--force', pod.uuid]);
  await pod.running.done;
});

test('a pod that stops takes what entered it along', async () => {
  const pod = box.start(STAY);
  await pod.running.printed(/ready/);
  const inside = box.local.start(['enter', pod.uuid, 'sh', '-c', 'echo on; exec sleep 1000']);
  await inside.printed(/on/);
  await box.ok(['stop', pod.uuid]);
  expect((await inside.done).code).not.toBe(0);
  await pod.running.done;
});

describe('who a command is', () => {
  const pod = sharedPod(() => box.start(STAY, { image: USER, app: ['--name=box'] }));
  const script = 'id -u; id -g; grep ^Groups: /proc/self/status; pwd; echo "$COLOUR $LINES_OF"';

  test('enter: root in /', async () => {
    const { stdout } = await enter(pod(), 'sh', '-c', script);
    expect(stdout).toMatch(/^0\n0\nGroups:\s*\n\/\nblue one\ntwo\n$/);
  });

  test("app exec: the app's user, groups and folder", async () => {
    const { stdout } = await exec(pod(), 'sh', '-c', script);
    expect(stdout).toMatch(/^1000\n1001\nGroups:\s*7 8 1001\s*\n\/home\/it\nblue one\ntwo\n$/);
  });

  test.each(['linux', undefined])('TERM is the caller’s (%s), else vt100', async (term) => {
    const env = { TERM: term ?? '' };
    const argv = ['enter', pod().uuid, 'sh', '-c', 'echo $TERM'];
    const line = term === undefined ? 'unset TERM; exec "$@"' : 'exec "$@"';
    const words = ['-c', line, 'sh', PROGRAM, `--dir=${box.local.dir}`, ...argv];
    const { stdout } = await box.local.startProgram('sh', words, { env }).done;
    expect(stdout).toBe(`${term ?? 'vt100'}\n`);
  });
});

describe('a terminal', () => {
  const pod = sharedPod(() => box.start(STAY));

  test("is one of the pod's", async () => {
    const running = onTerminal(`rkt enter ${pod().uuid} sh -c 'tty; readlink /proc/self/fd/0'`);
    const { stdout } = await running.done;
    expect(stdout).toMatch(/^(\/dev\/pts\/\d+)\r\n\1\r\n$/);
  });

  test("gives the command's exit status, and the caller's settings back", async () => {
    const script = `stty -a > $OUT.1; rkt enter ${pod().uuid} sh -c 'exit 6'; code=$?; stty -a > $OUT.2; exit $code`;
    const out = box.file('');
    expect((await onTerminal(script, { OUT: out }).done).code).toBe(6);
    expect(readFileSync(`${out}.2`, 'utf8')).toBe(readFileSync(`${out}.1`, 'utf8'));
  });

  test('shows the last of what was written', async () => {
    const { stdout } = await onTerminal(`rkt enter ${pod().uuid} busybox seq 5000`).done;
    expect(stdout).toMatch(/\n4999\r\n5000\r\n$/);
  });

  test('is resized with the caller’s', async () => {
    const out = box.file('');
    const inner = 'trap "stty size; exit" WINCH; stty size; while :; do sleep 0.05; done';
    const script = `stty rows 21 cols 43; tty > $OUT; rkt enter ${pod().uuid} sh -c '${inner}'`;
    const running = onTerminal(script, { OUT: out });
    await running.printed(/21 43/);
    spawnSync('stty', ['-F', readFileSync(out, 'utf8').trim(), 'rows', '40', 'cols', '100']);
    await running.printed(/40 100/);
    await running.done;
  });

  test('takes keys, and makes signals of them inside', async () => {
    const inner = 'trap "echo got; exit 4" INT; echo on; while :; do sleep 0.05; done';
    const running = onTerminal(`rkt enter ${pod().uuid} sh -c '${inner}'`);
    await running.printed(/on/);
    running.write('\u0003');
    expect((await running.done).code).toBe(4);
    expect(running.stdout).toContain('got');
  });

  test('of the caller is out of reach when the streams are none', async () => {
    const inner = 'echo typed > /dev/tty; tty';
    const script = `rkt enter ${pod().uuid} sh -c '${inner}' < /dev/null 2>&1 | cat`;
    const { stdout } = await onTerminal(script).done;
    expect(stdout).toContain('No such device or address');
    expect(stdout).toContain('not a tty');
  });

  test('is a pipe when only one side is one', async () => {
    const script = `rkt enter ${pod().uuid} sh -c 'ls -l /proc/self/fd' | cat`;
    const { stdout } = await onTerminal(script).done;
    expect(stdout).toMatch(/0 -> pipe:/);
    expect(stdout).not.toMatch(/pts|tty/);
  });
});

/** Looks at every process of the pod but systemd and itself, again and again, and prints what it can see of it. */
const SPY = `
echo ready
while :; do
  for p in /proc/[0-9]*; do
    case $p in /proc/1|/proc/$$) continue ;; esac
    for l in $p/exe $p/cwd $p/root $p/fd/*; do
      to=$(readlink $l) || continue
      echo "$l $to"
      case $l in */exe|*/fd/*) [ "$to" = /bin/busybox ] || { echo x > $l && echo "WROTE $l $to"; } ;; esac
    done
  done 2>/dev/null
done`;

describe('nothing of the host is reachable (CVE-2019-5736, CVE-2024-21626)', () => {
  /** What a process of the app's own may be, and what it may have open. */
  const OWN =
    /^(\/bin\/busybox|\/|\/dev\/null|pipe:\[\d+\]|\/proc\/\d+\/.*|\/memfd:rkt \(deleted\)|socket:\[\d+\])$/;
  const WRITABLE = /^WROTE \S+ (\/dev\/null|pipe:\[\d+\])$/;
  const written = (stdout: string) =>
    stdout.split('\n').filter((line) => line.startsWith('WROTE') && !WRITABLE.test(line));

  test.each([
    ['root', [] as string[]],
    ['root with CAP_SYS_PTRACE', ['--caps-retain=CAP_SYS_PTRACE,CAP_DAC_OVERRIDE,CAP_SETUID']],
  ])('by an app that watches the processes that enter it, as %s', async (_, flags) => {
    const pod = box.start(SPY, { app: flags });
    await pod.running.printed(/ready/);
    for (let n = 0; n < 12; n++) await enter(pod, 'true');
    await box.local.rkt(['stop', '--force', pod.uuid]);
    const { stdout } = await pod.running.done;
    expect(written(stdout)).toEqual([]);
    const seen = stdout
      .split('\n')
      .flatMap((line) => /^\/proc\/\d+\/\S+ (.*)$/.exec(line)?.[1] ?? []);
    expect(seen.filter((link) => !OWN.test(link))).toEqual([]);
  });

  test('by a program that is #!/proc/self/exe', async () => {
    const pod = box.start(SPY, { image: SHEBANG, app: ['--name=box'] });
    await pod.running.printed(/ready/);
    for (let n = 0; n < 5; n++) expect((await enter(pod, '/evil')).code).toBe(254);
    await box.local.rkt(['stop', '--force', pod.uuid]);
    expect(written((await pod.running.done).stdout)).toEqual([]);
  });

  describe('by a working folder that leads to', () => {
    // The app's folder is a good one when it starts, and then no more.
    const swap = 'rm -r /work; echo ready; exec sleep 1000';
    const pod = sharedPod(() => box.start(swap, { image: SWAP, app: ['--name=box'] }));

    test.each([
      ...Array.from({ length: 24 }, (_, fd) => `/proc/self/fd/${fd}`),
      '/proc/1/cwd',
      '/proc/1/root',
      '/proc/1/root/usr',
    ])('%s', async (target) => {
      await enter(pod(), 'ln', '-sfn', target, '/work');
      const { code, stdout, stderr } = await exec(pod(), 'ls', '-a', '.');
      expect(stderr).toMatch(/cannot enter app "box": chdir of \/work: E\w+\n/);
      expect(stdout).toBe('');
      expect(code).toBe(254);
    });

    test("a folder that is the caller's input", async () => {
      await enter(pod(), 'ln', '-sfn', '/proc/self/fd/0', '/work');
      const line = '"$0" --dir="$1" app exec "$2" ls < /';
      const argv = ['-c', line, PROGRAM, box.local.dir, pod().uuid];
      const result = spawnSync('sh', argv, { encoding: 'utf8' });
      expect(result.stderr).toMatch(/chdir of \/work: ENOTDIR/);
    });
  });

  describe('by what a command finds open', () => {
    const pod = sharedPod(() => box.start(STAY));

    test('three pipes and no more', async () => {
      const { stdout } = await enter(pod(), 'sh', '-c', 'exec ls -l /proc/self/fd');
      const links = stdout
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => line.split(' -> ')[1]);
      expect(links.filter((link) => link !== undefined)).toEqual([
        expect.stringMatching(/^pipe:/),
        expect.stringMatching(/^pipe:/),
        expect.stringMatching(/^pipe:/),
      ]);
    });

    test('a file that is read cannot be opened again and written', async () => {
      const file = box.file('before');
      const line = `"$0" --dir="$1" enter "$2" sh -c 'cat; echo after > /proc/self/fd/0' < ${file}`;
      const argv = ['-c', line, PROGRAM, box.local.dir, pod().uuid];
      spawnSync('sh', argv, { timeout: 60_000 });
      expect(readFileSync(file, 'utf8')).toBe('before');
    });

    test('no library or variable of the caller', async () => {
      const { stdout } = await box.local.rkt(['enter', pod().uuid, 'env'], {
        env: { SECRET_OF_CALLER: '1', LD_PRELOAD: '' },
      });
      expect(stdout).not.toContain('SECRET_OF_CALLER');
    });
  });
});

describe('a fly pod', () => {
  const pod = sharedPod(() =>
    box.start(STAY, { image: USER, app: ['--name=box'], pod: [FLY, '--net=host'] }),
  );

  test("is entered in its app's root", async () => {
    writeFileSync(`${box.local.scratch}/outside`, '');
    const { code, stdout } = await enter(
      pod(),
      'sh',
      '-c',
      `id -u; ls -d ${box.local.scratch}; ls /bin/busybox; pwd`,
    );
    expect(stdout).toBe('0\n/bin/busybox\n/\n');
    expect(code).toBe(0);
    expect(existsSync(`${box.local.scratch}/outside`)).toBe(true);
  });

  test("runs commands as its app's user", async () => {
    expect((await exec(pod(), 'sh', '-c', 'id -u; pwd')).stdout).toBe('1000\n/home/it\n');
  });

  test('has a terminal', async () => {
    const { stdout } = await onTerminal(`rkt enter ${pod().uuid} tty`).done;
    expect(stdout).toMatch(/^\/dev\/pts\/\d+\r\n$/);
  });
});

describe('the entry point of the contract', () => {
  const pod = sharedPod(() => box.start('true', { pod: [`--stage1-name=${FOREIGN}`] }));

  test('of a foreign stage1 is called from the store, in the pod’s folder', async () => {
    const { code, stdout } = await enter(pod(), 'a', '--b', 'c d');
    const [cwd, program, ...args] = stdout.trimEnd().split('\n');
    expect(cwd).toBe(pod().folder);
    expect(program).toMatch(/\/cas\/tree\/[^/]+\/rootfs\/enter$/);
    expect(args).toEqual([`--pid=${pod().supervisor}`, '--appname=box', '--', 'a', '--b', 'c d']);
    expect(code).toBe(5);
  });

  describe('of our own', () => {
    const own = sharedPod(() => box.start(STAY));
    const program = fileURLToPath(
      new URL('../../../dist/stage1/nspawn/rootfs/enter', import.meta.url),
    );

    test('runs a command for another stage0', async () => {
      const { supervisor, folder } = own();
      const pid = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8').trim();
      const args = [
        `--pid=${pid}`,
        '--appname=box',
        '--',
        'sh',
        '-c',
        'echo in $AC_APP_NAME; exit 3',
      ];
      const { code, stdout } = await box.local.startProgram(program, args, { cwd: folder }).done;
      expect(stdout).toBe('in box\n');
      expect(code).toBe(3);
    });

    test('says what is wrong with its arguments', async () => {
      const running = box.local.startProgram(program, ['--pid=x'], { cwd: own().folder });
      const { code, stderr } = await running.done;
      expect(stderr).toMatch(/^stage1: stage1 enter: --pid=N --appname=APP -- COMMAND expected/);
      expect(code).toBe(254);
    });
  });
});
