import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Box, type StartedPod } from './box.ts';
import { BOX } from './image.ts';

const box = new Box({
  name: 'example.org/picky',
  annotations: [{ name: 'appc.io/docker/stopsignal', value: 'SIGUSR1' }],
});

const PICKY = 'example.org/picky';

/** A script that ends like this the first time, and like that from the second time on. */
function twice(first: string, then: string): string {
  return `echo run; if [ -e /seen ]; then ${then}; else touch /seen; ${first}; fi`;
}

describe('--restart', () => {
  test('=no is what holds without it: an app runs once', async () => {
    const { code, stdout } = await box.run('echo run; exit 3');
    expect([code, stdout]).toEqual([3, 'run\n']);
    const same = await box.run('echo run; exit 3', { app: ['--restart=no'] });
    expect([same.code, same.stdout]).toEqual([3, 'run\n']);
  });

  test.each([
    ['exits with a failure', 'exit 5'],
    ['is killed', 'kill -KILL $$'],
    ['dies of a SIGTERM that was not ours', 'kill -TERM $$'],
  ])('=on-failure starts an app again that %s, and its last status counts', async (_, first) => {
    const options = { app: ['--restart=on-failure'] };
    const { code, stdout, pod } = await box.run(twice(first, 'exit 0'), options);
    expect([code, stdout]).toEqual([0, 'run\nrun\n']);
    expect(pod.status()).toBe('0\n');
  });

  test('=on-failure leaves an app alone that succeeds', async () => {
    const { code, stdout } = await box.run('echo run', { app: ['--restart=on-failure'] });
    expect([code, stdout]).toEqual([0, 'run\n']);
  });

  test('=on-failure gives up after five starts, with the last status as the result', async () => {
    const { code, stdout, pod } = await box.run('echo run; exit 7', {
      app: ['--restart=on-failure'],
    });
    expect(stdout).toBe('run\n'.repeat(5));
    expect(code).toBe(7);
    expect(pod.status()).toBe('7\n');
  });

  test('=always starts an app again that succeeds', async () => {
    const pod = box.start(twice('exit 0', 'echo again; exec sleep 1000'), {
      app: ['--restart=always'],
    });
    await pod.running.printed(/again/);
    expect(pod.status()).toBeUndefined();
    await box.ok(['stop', pod.uuid]);
    expect((await pod.running.done).code).toBe(0);
  });

  test('is beaten by stop, also between two starts', async () => {
    const pod = box.start(twice('exit 1', 'exec sleep 1000'), { app: ['--restart=always'] });
    // Written when the app has ended, and before it is started again.
    const ends = () => existsSync(`${pod.folder}/stage1/rootfs/rkt/status/box_ends`);
    await pod.running.printed(/run/);
    await expect.poll(ends, { interval: 1 }).toBe(true);
    await box.ok(['stop', pod.uuid]);
    expect((await pod.running.done).stdout).toMatch(/^(run\n){1,2}$/);
    expect(await box.state(pod.uuid)).toBe('exited');
  });

  test('is beaten by stop, also where the app then fails', async () => {
    const script = 'trap "exit 6" TERM; echo ready; while :; do sleep 0.05; done';
    const pod = box.start(script, { app: ['--restart=always'] });
    await pod.running.printed(/ready/);
    await box.ok(['stop', pod.uuid]);
    expect(await pod.running.done).toMatchObject({ code: 0, stdout: 'ready\n' });
    expect(pod.status()).toBe('6\n');
  });

  test('is beaten by stop, also where the app was about to be started: its last status counts', async () => {
    const folder = box.folder();
    const pod = box.start('echo ready; until [ -e /data/go ]; do sleep 0.05; done; exit 3', {
      pod: [`--volume=data,kind=host,source=${folder}`],
      app: ['--restart=always', '--mount=volume=data,target=/data'],
    });
    await pod.running.printed(/ready/);
    // It asks for the restart, and before that comes about the pod is told to stop.
    const reaper = `${pod.folder}/stage1/rootfs/rkt/reaper`;
    const asking = `touch /rkt/status/box_asks; until [ "$(systemctl is-system-running)" = stopping ]; do sleep 0.01; done; exit 75`;
    writeFileSync(reaper, readFileSync(reaper, 'utf8').replace('exit 75', asking));
    writeFileSync(`${folder}/go`, '');
    const asks = () => existsSync(`${pod.folder}/stage1/rootfs/rkt/status/box_asks`);
    await expect.poll(asks).toBe(true);
    await box.ok(['stop', pod.uuid]);
    expect(await pod.running.done).toMatchObject({ code: 0, stdout: 'ready\n' });
    expect(pod.status()).toBe('3\n');
  });

  test('does not end the other apps while the app is started again', async () => {
    const args = [BOX, '--name=a', '--restart=on-failure', '--', twice('exit 1', 'exit 0'), '---'];
    const { code, stdout } = await box.runPod([
      ...args,
      ...[BOX, '--name=b', '--', 'sleep 1; echo end'],
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain('end\n');
  });

  test('is kept as an annotation of the app', async () => {
    const uuid = (await box.ok(['prepare', BOX, '--restart=always', '--', 'true'])).trim();
    expect(JSON.parse(await box.ok(['cat-manifest', uuid])).apps[0].annotations).toEqual([
      { name: 'coreos.com/rkt/stage2/restart', value: 'always' },
    ]);
  });

  test('with another word is refused', async () => {
    const { code, stderr } = await box.local.rkt(['prepare', BOX, '--restart=sometimes']);
    expect(code).toBe(254);
    expect(stderr).toContain('--restart');
  });

  test('is refused by fly, which has nobody to start the app again', async () => {
    const pod = ['--net=host', '--stage1-name=coreos.com/rkt/stage1-fly'];
    const { code, stderr } = await box.run('true', { pod, app: ['--restart=always'] });
    expect(code).toBe(254);
    expect(stderr).toContain('restart');
  });
});

describe('an app that a signal ended', () => {
  test.each([
    ['KILL', 9],
    ['34', 34],
  ])('by %s has 128 + signal as its status, and the signal beside it in JSON', async (name, n) => {
    const { code, pod } = await box.run(`kill -${name} $$`);
    expect(code).toBe(128 + n);
    expect(await box.ok(['status', pod.uuid])).toContain(`app-box=${128 + n}\n`);
    const { apps } = JSON.parse(await box.ok(['status', '--format=json', pod.uuid]));
    expect(apps[0]).toMatchObject({ exit_code: 128 + n, exit_signal: n });
  });

  test('is told from one that exits with the same status', async () => {
    const { pod } = await box.run('exit 137');
    const { apps } = JSON.parse(await box.ok(['status', '--format=json', pod.uuid]));
    expect(apps[0].exit_code).toBe(137);
    expect(apps[0]).not.toHaveProperty('exit_signal');
  });
});

describe('the stop signal', () => {
  const trap = 'trap "echo usr1; exit 0" USR1; echo ready; while :; do sleep 0.05; done';

  async function stopped(pod: StartedPod) {
    await pod.running.printed(/ready/);
    await box.ok(['stop', pod.uuid]);
    return pod.running.done;
  }

  test('of an image is what its app gets, and dying of it is no failure', async () => {
    expect(await stopped(box.start(trap, { image: PICKY }))).toMatchObject({
      code: 0,
      stdout: 'ready\nusr1\n',
    });
    const pod = box.start('echo ready; exec sleep 1000', { image: PICKY, app: ['--name=box'] });
    expect((await stopped(pod)).code).toBe(0);
    expect(pod.status()).toBe('0\n');
  });

  test('can be another one by an annotation of the app', async () => {
    const app = ['--annotation=appc.io/docker/stopsignal=10'];
    expect(await stopped(box.start(trap, { app }))).toMatchObject({ stdout: 'ready\nusr1\n' });
  });

  test('that is none is an error', async () => {
    const app = ['--annotation=appc.io/docker/stopsignal=SIGNAL'];
    const { code, stderr } = await box.run('true', { app });
    expect(code).toBe(254);
    expect(stderr).toContain('appc.io/docker/stopsignal');
  });
});

describe('the watchdog annotation', () => {
  test('fails an app that does not report', async () => {
    const app = ['--annotation=coreos.com/rkt/stage2/watchdog=300ms'];
    const { code, pod } = await box.run('echo $WATCHDOG_USEC; exec sleep 1000', { app });
    expect(code).toBe(134);
    expect(pod.status()).toBe('134\n');
  });

  test('tells the app how often it has to report, and where', async () => {
    const app = ['--annotation=coreos.com/rkt/stage2/watchdog=5m'];
    const { stdout } = await box.run(
      'echo $WATCHDOG_USEC; test -S "$NOTIFY_SOCKET" && echo socket',
      {
        app,
      },
    );
    expect(stdout).toBe('300000000\nsocket\n');
  });

  test('with something else than a duration is an error', async () => {
    const app = ['--annotation=coreos.com/rkt/stage2/watchdog=often'];
    expect((await box.run('true', { app })).stderr).toMatch(/watchdog.*30s/);
  });
});
