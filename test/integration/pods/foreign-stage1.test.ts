import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX, type ImageSpec, packImage } from './image.ts';

/** Writes how it was called to the file $RECORD, a line for each fact and argument. */
const record = (what: string) =>
  `#!/bin/sh\n{ echo ${what}; pwd; echo "$0"; printf '%s\\n' "$@"; } >> "$RECORD"\n`;

const RUN = `${record('run')}
{
  echo "lock=$(readlink /proc/$$/fd/$RKT_LOCK_FD)"
  echo "selinux=\${RKT_SELINUX_CONTEXT-unset},\${RKT_SELINUX_MOUNT_CONTEXT-unset}"
} >> "$RECORD"
echo $$ > pid
mkdir -p stage1/rootfs/rkt/status
[ -z "$STAY" ] || { trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done; }
echo 7 > stage1/rootfs/rkt/status/box
exit 7
`;

/** A stage1 of shell scripts, which are run by the host's shell. */
function stage1(name: string, version?: string): ImageSpec {
  const script = (text: string) => ({ text, mode: 0o755 });
  const names = { run: '/bin/start', gc: '/gc', stop: '/stop' };
  const annotations = Object.entries(names).map(([entry, value]) => ({
    name: `coreos.com/rkt/stage1/${entry}`,
    value,
  }));
  if (version)
    annotations.push({ name: 'coreos.com/rkt/stage1/interface-version', value: version });
  return {
    name,
    annotations,
    busybox: false,
    files: {
      '/bin/start': script(RUN),
      '/stop': script(`${record('stop')}kill "$(cat pid)"\n`),
      '/gc': script(record('gc')),
    },
  };
}

const NEW = 'example.org/stage1-new';
const OLD = 'example.org/stage1-old';
const box = new Box(stage1(NEW, '6'), stage1(OLD));

/** Runs the box in a stage1; what was recorded comes as lines. */
async function run(flags: readonly string[], global: readonly string[] = []) {
  const file = box.file('');
  const result = await box.run('true', {
    pod: ['--hostname=me', ...flags],
    global: ['--local-config=/etc', ...global],
    env: { RECORD: file },
  });
  return { ...result, file, lines: readFileSync(file, 'utf8').trimEnd().split('\n') };
}

describe('a stage1 of somebody else', () => {
  test.each([
    ['--stage1-name', () => NEW],
    ['--stage1-hash', () => box.keys.get(NEW) ?? ''],
    ['--stage1-path', () => packImage(box.local.scratch, stage1(NEW, '6'))],
  ])("is chosen by %s and gives the pod's exit status", async (flag, value) => {
    const global = ['--insecure-options=image'];
    const { code, lines, pod } = await run([`${flag}=${value()}`], global);
    expect(code).toBe(7);
    expect(lines[0]).toBe('run');
    expect(pod.status()).toBe('7\n');
    expect(await box.ok(['status', pod.uuid])).toContain('app-box=7\n');
  });

  test("is called in the pod's folder, by its path there, the UUID last", async () => {
    const { lines, pod } = await run([`--stage1-name=${NEW}`]);
    expect(lines[1]).toBe(pod.folder);
    expect(lines[2]).toBe('stage1/rootfs/bin/start');
    const end = lines.findIndex((line) => line.startsWith('lock='));
    expect(lines[end - 1]).toBe(pod.uuid);
  });

  test("holds the pod's lock by RKT_LOCK_FD and knows the SELinux contexts", async () => {
    const { lines, pod } = await run([`--stage1-name=${NEW}`]);
    expect(lines).toContain(`lock=${pod.folder}`);
    expect(lines).toContain('selinux=,');
  });

  test('of version 6 gets every option', async () => {
    const global = ['--insecure-options=all-run', '--debug'];
    const { lines, pod } = await run(
      [`--stage1-name=${NEW}`, '--dns=8.8.8.8', '--hosts-entry=host', '--ipc=parent'],
      global,
    );
    const end = lines.findIndex((line) => line.startsWith('lock='));
    expect(lines.slice(3, end)).toEqual([
      '--debug',
      '--net=none',
      '--local-config=/etc',
      '--hostname=me',
      '--disable-capabilities-restriction',
      '--disable-paths',
      '--disable-seccomp',
      '--dns-conf-mode=resolv=stage0,hosts=host',
      '--ipc=parent',
      pod.uuid,
    ]);
    expect(pod.file('stage1/rootfs/etc/rkt-resolv.conf')).toContain('nameserver 8.8.8.8');
  });

  test('that names no version gets the options of version 1, and a warning for the others', async () => {
    const { lines, pod, stderr } = await run([`--stage1-name=${OLD}`, '--interactive']);
    const end = lines.findIndex((line) => line.startsWith('lock='));
    expect(lines.slice(3, end)).toEqual([
      '--net=none',
      '--interactive',
      '--local-config=/etc',
      pod.uuid,
    ]);
    expect(stderr).toMatch(/too old for --hostname=me/);
  });

  test('stops its pod, and clears up after it', async () => {
    const file = box.file('');
    const env = { RECORD: file, STAY: 'yes' };
    const pod = box.start('true', { pod: [`--stage1-name=${NEW}`], env });
    await pod.running.printed(/ready/);
    const folder = pod.folder;
    await box.ok(['stop', pod.uuid], { env });
    expect((await pod.running.done).code).toBe(0);
    const calls = () => readFileSync(file, 'utf8').split('\n');
    expect(calls().slice(-5)).toEqual(['stop', folder, './stage1/rootfs/stop', pod.uuid, '']);
    await box.ok(['gc', '--grace-period=0s'], { env });
    const garbage = folder.replace('/run/', '/garbage/');
    expect(readFileSync(file, 'utf8')).toContain(
      `gc\n${garbage}\n./stage1/rootfs/gc\n${pod.uuid}\n`,
    );
  });

  test('is told to stop by force', async () => {
    const file = box.file('');
    const env = { RECORD: file, STAY: 'yes' };
    const pod = box.start('true', { pod: [`--stage1-name=${NEW}`], env });
    await pod.running.printed(/ready/);
    await box.ok(['stop', '--force', pod.uuid], { env });
    await pod.running.done;
    expect(readFileSync(file, 'utf8')).toMatch(new RegExp(`/stop\n--force\n${pod.uuid}\n$`));
  });

  test("finds the apps' roots mounted where the contract has them", async () => {
    const pod = [`--stage1-name=example.org/stage1-look`];
    await box.import({
      ...stage1('example.org/stage1-look', '6'),
      files: {
        '/bin/start': {
          text: '#!/bin/sh\necho $$ > pid; ls stage1/rootfs/opt/stage2/box/rootfs/bin/busybox; ls -d appsinfo/box/manifest pod\n',
          mode: 0o755,
        },
      },
    });
    const { stdout } = await box.run('true', { pod });
    expect(stdout).toBe(
      'stage1/rootfs/opt/stage2/box/rootfs/bin/busybox\nappsinfo/box/manifest\npod\n',
    );
  });

  test('without a run entry point is an error that names it', async () => {
    await box.import({ name: 'example.org/no-stage1', busybox: false, files: { '/x': '' } });
    const { code, stderr } = await box.run('true', {
      pod: ['--stage1-name=example.org/no-stage1'],
    });
    expect(code).toBe(254);
    expect(stderr).toMatch(/example\.org\/no-stage1.*run/);
  });
});

describe('flags that choose a stage1', () => {
  test('exclude each other', async () => {
    const { code, stderr } = await box.runPod([BOX], {
      pod: ['--stage1-name=a.example/b', '--stage1-path=/x'],
    });
    expect(code).toBe(254);
    expect(stderr).toMatch(
      /--stage1-name.*--stage1-path.*mutually exclusive|--stage1-path.*--stage1-name.*mutually exclusive/,
    );
  });

  test('are given once', async () => {
    const { code, stderr } = await box.runPod([BOX], {
      pod: ['--stage1-name=a.example/b', '--stage1-name=a.example/b'],
    });
    expect(code).toBe(254);
    expect(stderr).toContain('--stage1-name already used');
  });
});
