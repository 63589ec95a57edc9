// What other versions of systemd, util-linux and the network tools once made different: on Debian 13,
// whichever Debian the other tests have.
import { describe, expect, test } from 'vitest';
import { startHost } from '../lib/host.ts';
import { ask, inPod, SERVER, server, WHO } from './net/net-box.ts';
import { expectClearedByGc, importBox, PATIENCE, startPod, state } from './pods/host-box.ts';
import { BOX } from './pods/image.ts';

const host = await startHost({ kind: 'container', suite: 'trixie' });
importBox(host, server);

const run = (script: string, ...flags: readonly string[]) =>
  host.ok(['rkt', 'run', '--net=none', BOX, ...flags, '--', script]);

describe('an app', () => {
  test('has no variables of systemd’s own', async () => {
    const names = (await run('env')).split('\n').map((line) => line.split('=')[0]);
    const own = ['AC_APP_NAME', 'HOME', 'LOGNAME', 'PATH', 'SHELL', 'USER', 'container'];
    expect(names.filter((name) => name !== 'PWD' && name !== 'SHLVL').sort()).toEqual(own);
  });

  test('has inherited no capability', async () => {
    expect(await run('grep ^CapInh: /proc/self/status')).toBe('CapInh:\t0000000000000000');
  });

  test.each([[[]], [['--user=1000', '--group=1000']]])(
    'starts under a filter that has no capset %s',
    async (user) => {
      const calls =
        'read,write,open,openat,close,ioctl,fcntl,fstat,newfstatat,stat,lseek,dup2,prctl';
      const sets = '@systemd/default-whitelist,@systemd/process';
      expect(await run('echo works', `--seccomp=mode=retain,${sets},${calls}`, ...user)).toBe(
        'works',
      );
    },
  );

  test('has a volume at a path with quotes', async () => {
    const path = `/var/tmp/it's "so"`;
    await host.writeFile(`${path}/file`, 'seen');
    const [app] = JSON.parse(await host.ok(['rkt', 'image', 'list', '--format=json']));
    const manifest = {
      acKind: 'PodManifest',
      acVersion: '0.8.11',
      volumes: [{ name: 'data', kind: 'host', source: path }],
      apps: [
        {
          name: 'box',
          image: { id: app.id },
          app: { exec: ['/bin/cat', `${path}/file`], user: '0', group: '0' },
          mounts: [{ volume: 'data', path }],
        },
      ],
    };
    await host.writeFile('/var/tmp/quotes.json', JSON.stringify(manifest));
    const quoted = ['rkt', 'run', '--net=none', '--pod-manifest=/var/tmp/quotes.json'];
    expect(await host.ok(quoted)).toBe('seen');
  });

  test('gives its terminal no title and no colour', async () => {
    const argv = ['rkt', 'run', '--net=none', '--interactive', BOX, '--', 'echo end'];
    const { stdout } = await host.run(argv, { tty: true });
    expect(stdout).toContain('end\r\n');
    // With these nspawn 257 greets.
    for (const osc of ['\x1b]2;', '\x1b]11;']) expect(stdout).not.toContain(osc);
  });

  test('that does not stop is killed, and has a status', async () => {
    const { uuid, running } = await startPod(host, [
      ...[BOX, '--', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'],
    ]);
    const { stderr } = await host.run(['rkt', 'stop', '--timeout=300ms', uuid]);
    expect(stderr).toContain('killed after 300ms');
    await running.done;
    expect(await host.ok(['rkt', 'status', uuid])).toContain('app-box=137');
  });

  test('can be entered, is known to machined, and is ended by it', async () => {
    const { uuid, machine, running } = await startPod(host, [BOX, '--', 'echo ready; sleep 1000']);
    expect(await host.ok(['rkt', 'enter', uuid, '/bin/echo', 'inside'])).toBe('inside');
    expect(await host.ok(['machinectl', 'list', '--no-legend'])).toContain(machine);
    await host.ok(['machinectl', 'terminate', machine]);
    await running.done;
    await expectClearedByGc(host, uuid);
  });

  test('that takes more memory than it may is killed', async () => {
    const script = 'exec dd if=/dev/zero of=/dev/null bs=64M count=1';
    const argv = ['rkt', 'run', '--net=none', BOX, '--memory=32Mi', '--', script];
    expect((await host.run(argv)).code).toBe(137);
  });
});

describe('in a pod whose apps come and go', () => {
  test.each([[[]], [['--private-users']]])('one can be added %s', async (flags) => {
    await host.ok(['mkdir', '-p', '/var/tmp/shared']);
    const sandbox = ['rkt', 'app', 'sandbox', '--detach', '--net=none', ...flags];
    const uuid = await host.ok(sandbox);
    const volume = '--mnt-volume=v,kind=host,source=/var/tmp/shared,target=/v';
    const script = 'echo two > /v/file; echo one; exec sleep 1000';
    await host.ok(['rkt', 'app', 'add', uuid, BOX, '--name=a', volume, '--', '-c', script]);
    await host.ok(['rkt', 'app', 'start', uuid, '--app=a']);
    const logs = () => host.ok(['rkt', 'logs', uuid, '--app=a']);
    await expect.poll(logs, { timeout: PATIENCE }).toContain('one');
    const look = ['rkt', 'app', 'exec', '--app=a', uuid, '/bin/cat', '/v/file'];
    expect(await host.ok(look)).toBe('two');
    await host.ok(['rkt', 'app', 'stop', uuid, '--app=a']);
    await host.ok(['rkt', 'app', 'rm', uuid, '--app=a']);
    expect(await host.ok(['rkt', 'app', 'list', uuid, '--no-legend'])).toBe('');
    await host.ok(['rkt', 'stop', uuid]);
    await expectClearedByGc(host, uuid);
  });
});

describe('in the default network', () => {
  test('a pod reaches the host', async () => {
    expect(await inPod(host, 'default', 'ip -4 -o addr show eth0')).toContain('172.16.28.');
  });

  test('a published port is answered, and nothing is left behind', async () => {
    const pod = await startPod(host, ['--port=web:8080', SERVER, '--', WHO], '--net=default');
    const answer = async () => (await host.run(ask('127.0.0.1', 8080))).stdout;
    await expect.poll(answer, { timeout: PATIENCE }).toBe('served\n');
    await host.ok(['rkt', 'stop', '--force', pod.uuid]);
    await pod.running.done;
    await expectClearedByGc(host, pod.uuid);
    expect(await host.ok(['nft', 'list', 'tables'])).not.toContain('rkt');
  });
});

test('a pod of a unit is that unit, and is stopped with it', async () => {
  await host.ok([
    ...['systemd-run', '--unit=of-unit', '--property=Type=notify', '--quiet'],
    ...['rkt', 'run', '--net=none', '--uuid-file-save=/var/tmp/of-unit'],
    ...[BOX, '--', 'trap "exit 0" TERM; while :; do sleep 0.05; done'],
  ]);
  const uuid = (await host.readFile('/var/tmp/of-unit')).toString();
  expect(await state(host, uuid)).toBe('running');
  expect(await host.ok(['machinectl', 'status', `rkt-${uuid}`])).toContain('Unit: of-unit.service');
  await host.ok(['systemctl', 'stop', 'of-unit']);
  expect(await host.ok(['rkt', 'status', uuid])).toContain('app-box=0');
});
