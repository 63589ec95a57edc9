// @vm: limits on units of a pod's own systemd are enforced on cgroup version 2 alone.
import { beforeEach, describe, expect, test } from 'vitest';
import { needs, startHost } from '../../lib/host.ts';
import { expectClearedByGc, FLY, importBox, startPod, state } from './host-box.ts';
import { BOX } from './image.ts';

const host = await startHost();
importBox(host);

describe("an app's --memory", () => {
  beforeEach((context) => needs(context, 'nested-limits'));

  test("is its cgroup's limit", async () => {
    const script =
      'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/*/*/memory.max 2>/dev/null; echo ready; exec sleep 1000';
    const pod = await startPod(host, [BOX, '--memory=64Mi', '--', script]);
    const find = 'cat $(find /sys/fs/cgroup -path "*rkt-$1*" -path "*box.service/memory.max")';
    expect(await host.ok(['sh', '-c', find, 'sh', pod.uuid])).toBe(String(64 * 1024 * 1024));
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('kills the app that takes more, which counts as 137', async () => {
    // dd has a whole block in memory. From a shell, for a unit that is not delegated is itself
    // stopped by systemd when something below it runs out of memory.
    const dd = 'exec dd if=/dev/zero of=/dev/null bs=64M count=1';
    const rkt = ['rkt', 'run', '--net=none', BOX, '--memory=32Mi', '--', dd];
    expect((await host.run(['sh', '-c', '"$@"; exit $?', 'sh', ...rkt])).code).toBe(137);
  });
});

describe.each([
  ['nspawn', '--net=none', [] as string[]],
  ['fly', '--net=host', [FLY]],
])("a %s pod on this host's cgroups", (_, net, flags) => {
  test('runs, is listed, is stopped and collected', async () => {
    const pod = await startPod(host, [...flags, BOX, '--', 'echo ready; exec sleep 1000'], net);
    expect(await state(host, pod.uuid)).toBe('running');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
    await expectClearedByGc(host, pod.uuid);
  });
});
