// @vm: kernel 6.1 is the oldest that pods with a user namespace are for.
import { describe, expect, test } from 'vitest';
import { needs, startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, startPod, traces } from './host-box.ts';
import { BOX } from './image.ts';

const host = await startHost();
const OWNED = 'example.org/owned';
importBox(host, {
  name: OWNED,
  files: { '/home/u': { folder: true, uid: 1000, gid: 1001 } },
});
const rkt = (...words: readonly string[]) => host.ok(['rkt', ...words], { timeout: PATIENCE * 3 });

/** A new folder of a file system that the host keeps its pods on. */
const folder = () => host.ok(['mktemp', '-d', '/var/lib/rkt/volume-XXXXXX']);

describe('with --private-users, on a host of systemd', () => {
  test('an overlay and a host volume keep their owners', async () => {
    const source = await folder();
    const script = 'stat -c %u:%g / /home/u /v; touch /home/u/new /v/new; chown 7:8 /v/new';
    const told = await rkt(
      'run',
      '--net=none',
      '--private-users',
      `--volume=v,kind=host,source=${source}`,
      '--mount=volume=v,target=/v',
      OWNED,
      '--',
      script,
    );
    expect(told).toBe('0:0\n1000:1001\n0:0');
    expect(await host.ok(['stat', '-c', '%u:%g', `${source}/new`])).toBe('7:8');
  });

  test('so does a copy', async () => {
    const flags = ['--net=none', '--private-users', '--no-overlay'];
    expect(await rkt('run', ...flags, OWNED, '--', 'stat -c %u:%g / /home/u')).toBe(
      '0:0\n1000:1001',
    );
  });

  test('apps reach the journal', async () => {
    const text = `hello-${Date.now()}`;
    await rkt('run', '--net=none', '--private-users', BOX, '--', `/bin/busybox logger ${text}`);
    const read = async () => (await host.exec(['journalctl', '--no-pager', '--lines=100'])).stdout;
    await expect.poll(read, { timeout: PATIENCE }).toContain(text);
  });

  test('machined knows the pod, which can be entered, and stops in order', async () => {
    const pod = await startPod(host, ['--private-users', BOX, '--', 'echo ready; sleep 1000']);
    const { stdout } = await host.exec(['machinectl', 'show', '--property=State', pod.machine]);
    expect(stdout).toBe('State=running\n');
    const map = await rkt('enter', pod.uuid, '/bin/cat', '/proc/self/uid_map');
    expect(map.trim()).toMatch(/^0\s+[1-9]\d+\s+65536$/);
    await rkt('stop', pod.uuid);
    expect((await pod.running.done).code).toBe(0);
    await rkt('rm', pod.uuid);
    await expect.poll(() => traces(host, pod.uuid), { timeout: PATIENCE }).toBe('');
  });

  test('a pod has a network of its own', async () => {
    const told = await rkt('run', '--private-users', BOX, '--', 'ls /sys/class/net');
    expect(told).toBe('eth0\nlo');
  });

  test('a limit of memory kills the app that takes more', async (context) => {
    needs(context, 'cgroup2');
    const script = 'exec dd if=/dev/zero of=/dev/null bs=64M count=1';
    const flags = ['--net=none', '--private-users', BOX, '--memory=32Mi', '--', script];
    // From a shell: a unit that is not delegated is itself stopped when out of memory.
    const { code } = await host.run(['sh', '-c', '"$@"; exit $?', 'sh', 'rkt', 'run', ...flags], {
      timeout: PATIENCE * 3,
    });
    expect(code).toBe(137);
  });
});
