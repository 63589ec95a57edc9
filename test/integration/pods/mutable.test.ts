import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Running } from '../../lib/running.ts';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const box = new Box({
  name: 'example.org/other',
  app: { exec: ['/bin/sh', '-c', 'echo from the image'] },
});

const sandboxes: Sandbox[] = [];

/** A pod whose apps come and go. */
class Sandbox {
  readonly uuid: string;
  readonly running: Running;

  constructor(uuid: string, running: Running) {
    this.uuid = uuid;
    this.running = running;
    sandboxes.push(this);
  }

  /** Adds an app that runs a script. */
  add(name: string, script: string, ...flags: readonly string[]): Promise<string> {
    return this.ok('add', BOX, `--name=${name}`, ...flags, '--', '-c', script);
  }

  async ok(verb: string, ...words: readonly string[]): Promise<string> {
    return box.ok(['app', verb, this.uuid, ...words]);
  }

  /** The lines of `rkt app list`, as NAME STATE. */
  async list(): Promise<string[]> {
    const text = await this.ok('list', '--no-legend');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.replace(/\s+/, ' '));
  }

  async state(name: string): Promise<string | undefined> {
    const text = await this.ok('status', `--app=${name}`);
    return /^state=(.*)$/m.exec(text)?.[1];
  }
}

async function sandbox(...flags: readonly string[]): Promise<Sandbox> {
  const file = join(mkdtempSync(join(box.local.scratch, 'sandbox-')), 'uuid');
  const running = box.local.start(
    ['app', 'sandbox', '--net=none', `--uuid-file-save=${file}`, ...flags],
    { timeout: 600_000 },
  );
  await expect.poll(() => existsSync(file) && readFileSync(file, 'utf8')).toBeTruthy();
  const uuid = readFileSync(file, 'utf8');
  await box.ok(['status', '--wait-ready=1m', uuid]);
  return new Sandbox(uuid, running);
}

afterEach(async () => {
  for (const { uuid, running } of sandboxes.splice(0)) {
    await box.local.rkt(['stop', '--force', uuid]);
    await running.done;
  }
});

describe('rkt app sandbox', () => {
  test('is a pod without apps that stays in the foreground until it is stopped', async () => {
    const pod = await sandbox('--user-label=a=b', '--annotation=example.org/x=y');
    expect(await pod.list()).toEqual([]);
    expect(await box.state(pod.uuid)).toBe('running');
    const manifest = JSON.parse(await box.ok(['cat-manifest', pod.uuid]));
    expect(manifest).toMatchObject({ apps: [], userLabels: { a: 'b' } });
    expect(manifest.annotations).toEqual([
      { name: 'coreos.com/rkt/stage1/mutable', value: 'true' },
      { name: 'example.org/x', value: 'y' },
    ]);
    await box.ok(['stop', pod.uuid]);
    expect((await pod.running.done).code).toBe(0);
  });

  test('is refused by fly, with the reason', async () => {
    const { code, stderr } = await box.local.rkt([
      'app',
      'sandbox',
      '--stage1-name=coreos.com/rkt/stage1-fly',
      '--net=host',
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/fly stage1 runs one app/);
  });

  test.each(['--port=http:tcp:80', '--port=http:icmp:80:127.0.0.1:8080', '--net'])(
    'refuses %s',
    async (flag) => {
      expect((await box.local.rkt(['app', 'sandbox', flag])).code).not.toBe(0);
    },
  );
});

describe('an app of a sandbox', () => {
  test('is created, runs, ends, runs again and is removed', async () => {
    const pod = await sandbox();
    expect(await pod.add('a', 'echo run; exit 3')).toBe('a\n');
    expect(await pod.list()).toEqual(['a created']);
    await pod.ok('start', '--app=a');
    await expect.poll(() => pod.list()).toEqual(['a exited']);
    expect(await pod.ok('status', '--app=a')).toMatch(
      /^name=a\nstate=exited\nimage_id=sha512-.*\ncreated_at=.*\nstarted_at=.*\nfinished_at=.*\nexit_code=3\n$/,
    );
    await pod.ok('start', '--app=a');
    await expect.poll(() => pod.running.stdout).toBe('run\nrun\n');
    await pod.ok('rm', '--app=a');
    expect(await pod.list()).toEqual([]);
    expect(await box.state(pod.uuid)).toBe('running');
  });

  test('that runs is stopped in order, and counts as a success', async () => {
    const pod = await sandbox();
    await pod.add('a', 'trap "echo told; exit 0" TERM; echo ready; while :; do sleep 0.05; done');
    await pod.ok('start', '--app=a');
    await pod.running.printed(/ready/);
    expect(await pod.state('a')).toBe('running');
    await pod.ok('start', '--app=a');
    expect(await pod.state('a')).toBe('running');
    const { stderr } = await box.local.rkt(['app', 'stop', pod.uuid, '--app=a']);
    expect(stderr).toBe('rkt: app stop: app "a" stopped\n');
    expect(await pod.ok('status', '--app=a')).toContain('state=exited\n');
    expect(await pod.ok('status', '--app=a')).toContain('exit_code=0\n');
    expect(pod.running.stdout).toBe('ready\ntold\n');
  });

  test('of a pod that an older rkt has started, which has fewer units, is stopped', async () => {
    const pod = await sandbox();
    rmSync(join(box.podFolder(pod.uuid), 'stage1/rootfs/rkt/units/rkt_settle.service'));
    // It has systemd read the units again.
    await pod.add('a', 'echo ready; exec sleep 1000');
    await pod.ok('start', '--app=a');
    await pod.running.printed(/ready/);
    await pod.ok('stop', '--app=a');
    expect(await pod.state('a')).toBe('exited');
  });

  test('is not restarted after it was stopped, whatever its policy', async () => {
    const pod = await sandbox();
    await pod.add('a', 'echo ready; exec sleep 1000', '--restart=always');
    await pod.ok('start', '--app=a');
    await pod.running.printed(/ready/);
    await pod.ok('stop', '--app=a');
    expect(await pod.state('a')).toBe('exited');
  });

  test('that is about to be started again when it is stopped stays ended, with its last status', async () => {
    const pod = await sandbox();
    const folder = box.folder();
    const volume = `--mnt-volume=data,kind=host,source=${folder},target=/data`;
    const script = 'echo run; until [ -e /data/go ]; do sleep 0.05; done; exit 3';
    await pod.add('a', script, '--restart=always', volume);
    const root = join(box.podFolder(pod.uuid), 'stage1/rootfs/rkt');
    // It asks for the restart late: after it was told that its app is to stop.
    const asking =
      'touch /rkt/status/a_asks; until [ -e /rkt/status/a_stopping ]; do sleep 0.01; done; sleep 0.5; exit 75';
    const reaper = readFileSync(join(root, 'reaper'), 'utf8');
    writeFileSync(join(root, 'reaper'), reaper.replace('exit 75', asking));
    await pod.ok('start', '--app=a');
    await pod.running.printed(/run/);
    writeFileSync(join(folder, 'go'), '');
    await expect.poll(() => existsSync(join(root, 'status/a_asks'))).toBe(true);
    await pod.ok('stop', '--app=a');
    expect(await pod.ok('status', '--app=a')).toContain('exit_code=3\n');
    expect(pod.running.stdout).toBe('run\n');
  });

  test('that does not stop is killed after --timeout, which is told', async () => {
    const pod = await sandbox();
    await pod.add('a', 'trap "echo told" TERM; echo ready; while :; do sleep 0.05; done');
    await pod.ok('start', '--app=a');
    await pod.running.printed(/ready/);
    const stop = ['app', 'stop', pod.uuid, '--app=a', '--timeout=2s'];
    const { code, stderr } = await box.local.rkt(stop);
    expect([code, stderr]).toEqual([0, 'rkt: app stop: app "a" killed after 2s\n']);
    expect(await pod.ok('status', '--app=a')).toContain('exit_code=137\n');
    expect(pod.running.stdout).toContain('told\n');
  });

  test('has the program of its image, and the arguments behind -- instead of the image’s', async () => {
    const pod = await sandbox();
    expect(await pod.ok('add', 'example.org/other')).toBe('other\n');
    await pod.ok('start', '--app=other');
    await pod.running.printed(/from the image/);
    await pod.ok('add', 'example.org/other', '--name=b', '--', '-c', 'echo from the line');
    await pod.ok('start', '--app=b');
    await pod.running.printed(/from the line/);
  });

  test('has a root of its own, which its removal takes from no other of the same image', async () => {
    const pod = await sandbox();
    await pod.add('a', 'touch /mine; echo made; exec sleep 1000');
    await pod.add(
      'b',
      'touch /kept; echo made; while :; do [ -e /kept ] || exit 9; sleep 0.05; done',
    );
    await Promise.all(['a', 'b'].map((app) => pod.ok('start', `--app=${app}`)));
    await pod.running.printed(/made\nmade/);
    await pod.ok('rm', '--app=a');
    const folder = box.podFolder(pod.uuid);
    expect(readdirSync(join(folder, 'overlay'))).toEqual(['b']);
    expect(existsSync(join(folder, 'overlay/b/upper/kept'))).toBe(true);
    expect(await pod.list()).toEqual(['b running']);
  });

  test('is confined as those of other pods are, and runs as the user that it names', async () => {
    const pod = await sandbox();
    await pod.add(
      'a',
      'id -u; grep CapBnd /proc/self/status; grep Seccomp: /proc/self/status',
      '--user=7',
      '--group=8',
    );
    await pod.ok('start', '--app=a');
    await expect.poll(() => pod.running.stdout).toMatch(/^7\nCapBnd:\t[0-9a-f]+\nSeccomp:\t2\n$/);
    const alone = await box.run('grep CapBnd /proc/self/status');
    expect(pod.running.stdout).toContain(alone.stdout);
  });

  test('can have a volume of its own', async () => {
    const folder = box.folder();
    writeFileSync(join(folder, 'file'), 'text\n');
    const pod = await sandbox();
    const volume = `--mnt-volume=data,kind=host,source=${folder},target=/data`;
    await pod.add('a', 'cat /data/file', volume);
    await pod.ok('start', '--app=a');
    await pod.running.printed(/text/);
    expect(await pod.ok('status', '--app=a')).toContain(
      `mounts=${folder}:/data:(read_only:false)\n`,
    );
    await pod.ok('rm', '--app=a');
    expect(existsSync(join(folder, 'file'))).toBe(true);
    await pod.add('a', 'test -e /data || echo none');
    await pod.ok('start', '--app=a');
    await pod.running.printed(/none/);
  });

  test('leaves nothing to the next one of its name: no volume of its own, no output', async () => {
    const pod = await sandbox();
    const script = 'ls /data; touch /data/file; echo ended';
    const volume = '--mnt-volume=data,kind=empty,target=/data';
    for (let times = 1; times <= 2; times++) {
      await pod.add('a', script, volume);
      await pod.ok('start', '--app=a');
      await expect.poll(() => pod.state('a')).toBe('exited');
      expect(await box.ok(['logs', '--output=cat', pod.uuid])).toBe('ended\n');
      await pod.ok('rm', '--app=a');
    }
    const folder = box.podFolder(pod.uuid);
    for (const path of ['sharedVolumes', 'logs', 'stage1/rootfs/rkt/enter'])
      expect(readdirSync(join(folder, path))).toEqual([]);
  });

  test('works in a pod of full copies too', async () => {
    const pod = await sandbox('--no-overlay');
    await pod.add('a', 'echo copied; exit 0');
    await pod.ok('start', '--app=a');
    await pod.running.printed(/copied/);
    await pod.ok('rm', '--app=a');
    expect(await pod.list()).toEqual([]);
  });

  test('leaves its files to be removed when the pod has ended', async () => {
    const pod = await sandbox();
    await pod.add('a', 'exec sleep 1000');
    await pod.ok('start', '--app=a');
    await box.ok(['stop', pod.uuid]);
    expect(await pod.list()).toEqual(['a exited']);
    await pod.ok('rm', '--app=a');
    expect(existsSync(join(box.podFolder(pod.uuid), 'overlay/a'))).toBe(false);
  });

  test.each([
    ['start', 'nonexistent app "x"', 254],
    ['stop', 'nonexistent app "x"', 254],
    ['rm', 'nonexistent app "x"', 254],
    ['status', 'nonexistent app "x"', 1],
  ])('that is not there: %s fails and says so', async (verb, text, wanted) => {
    const pod = await sandbox();
    const { code, stderr } = await box.local.rkt(['app', verb, pod.uuid, '--app=x']);
    expect(code).toBe(wanted);
    expect(stderr).toContain(text);
  });

  test('that does not run cannot be stopped; a second one of its name cannot be added', async () => {
    const pod = await sandbox();
    await pod.add('a', 'true');
    const stopped = await box.local.rkt(['app', 'stop', pod.uuid, '--app=a']);
    expect(stopped.stderr).toContain('app "a" is not running');
    for (const name of ['a', 'a-started']) {
      const again = await box.local.rkt(['app', 'add', pod.uuid, BOX, `--name=${name}`]);
      expect(again.code).not.toBe(0);
    }
    expect(await pod.list()).toEqual(['a created']);
  });

  test('with a capability that the pod lacks is refused, and nothing of it stays', async () => {
    const pod = await sandbox();
    const words = ['app', 'add', pod.uuid, BOX, '--name=a', '--caps-retain=CAP_SYS_MODULE'];
    const { code, stderr } = await box.local.rkt(words);
    expect(code).toBe(254);
    expect(stderr).toContain('CAP_SYS_MODULE');
    expect(await pod.list()).toEqual([]);
    expect(readdirSync(join(box.podFolder(pod.uuid), 'appsinfo'))).toEqual([]);
  });
});

test('the apps of other pods stay as they are', async () => {
  const pod = box.start('echo ready; exec sleep 1000');
  await pod.running.printed(/ready/);
  const { code, stderr } = await box.local.rkt(['app', 'add', pod.uuid, BOX, '--name=a']);
  expect(code).toBe(254);
  expect(stderr).toContain('immutable pod');
  await box.ok(['stop', pod.uuid]);
});

test.each(['true', 'false'])('RKT_EXPERIMENT_APP=%s changes nothing', async (value) => {
  const { code } = await box.local.rkt(['app', 'list', '--help'], {
    env: { RKT_EXPERIMENT_APP: value },
  });
  expect(code).toBe(0);
});

describe('a killed rkt app', () => {
  test('that has made the place of a volume, and mounted nothing there, is cleared up after', async () => {
    const pod = await sandbox();
    const folder = box.podFolder(pod.uuid);
    mkdirSync(join(folder, 'appsinfo/a'), { recursive: true });
    mkdirSync(join(folder, 'stage1/rootfs/rkt/volumes/a_data'));
    await pod.add('b', 'true');
    expect(readdirSync(join(folder, 'appsinfo'))).toEqual(['b']);
    expect(readdirSync(join(folder, 'stage1/rootfs/rkt/volumes'))).toEqual([]);
  });

  /** Kills a command at several moments; gives those at which it had not ended yet. */
  async function killedAt(pod: Sandbox, words: readonly string[], moment: number): Promise<void> {
    const command = box.local.start(['app', words[0] ?? '', pod.uuid, ...words.slice(1)]);
    await Promise.race([delay(moment), command.done]);
    await command.kill('SIGKILL');
    await command.done;
  }

  test('add or rm leaves an app that is there or not, and a pod that takes it again', async () => {
    const pod = await sandbox();
    const begun = Date.now();
    await pod.add('first', 'true');
    const whole = Date.now() - begun;
    await pod.ok('rm', '--app=first');
    for (const part of [0.4, 0.55, 0.7, 0.8, 0.9, 1]) {
      const moment = whole * part;
      await killedAt(
        pod,
        ['add', BOX, '--name=a', '--', '-c', 'echo ran; exec sleep 1000'],
        moment,
      );
      const added = await pod.list();
      expect([[], ['a created'], ['a unknown']]).toContainEqual(added);
      if (added.length === 0) await pod.add('a', 'echo ran; exec sleep 1000');
      await pod.ok('start', '--app=a');
      expect(await pod.state('a')).toBe('running');
      await killedAt(pod, ['rm', '--app=a'], moment);
      if ((await pod.list()).length > 0) await pod.ok('rm', '--app=a');
      expect(await pod.list()).toEqual([]);
    }
    await pod.add('last', 'true');
    const folder = box.podFolder(pod.uuid);
    expect(readdirSync(join(folder, 'appsinfo'))).toEqual(['last']);
    expect(readdirSync(join(folder, 'stage1/rootfs/opt/stage2'))).toEqual(['last']);
  }, 600_000);
});
