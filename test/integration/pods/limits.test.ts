// @vm: its cgroups are version 2 with all controllers, those of the container host mostly version 1.
import { beforeAll, describe, expect, test } from 'vitest';
import { hostKind, startHost } from '../../lib/host.ts';
import { expectClearedByGc, FLY, importBox, startPod, state } from './host-box.ts';
import { BOX } from './image.ts';

const host = await startHost();
importBox(host);

/** Whether version 2 has the host's controllers. */
let unified = false;
beforeAll(async () => {
  unified = (await host.exec(['test', '-e', '/sys/fs/cgroup/cgroup.controllers'])).code === 0;
});

/** What a file of a cgroup of the pod says: `box.service`, or `system.slice`, which all apps are in. */
async function cgroupFile(uuid: string, unit: string, name: string): Promise<string> {
  const script = 'cat $(find /sys/fs/cgroup -path "*rkt-$1*/$2/$3")';
  return (await host.ok(['sh', '-c', script, 'sh', uuid, unit, name])).trim();
}

/** An isolator, the flag for it, and where and how it shows in version 2 and 1. */
const LIMITS = [
  {
    isolator: { name: 'resource/memory', value: { limit: '64Mi' } },
    flag: '--memory=64Mi',
    unified: ['memory.max', '67108864'],
    legacy: ['memory.limit_in_bytes', '67108864'],
  },
  {
    isolator: { name: 'resource/cpu', value: { limit: '500m' } },
    flag: '--cpu=500m',
    unified: ['cpu.max', '50000 100000'],
    legacy: ['cpu.cfs_quota_us', '50000'],
  },
  {
    isolator: { name: 'os/linux/cpu-shares', value: 2048 },
    flag: '--cpu-shares=2048',
    unified: ['cpu.weight', '200'],
    legacy: ['cpu.shares', '2048'],
  },
  {
    isolator: { name: 'os/linux/tasks', value: 50 },
    flag: '--tasks=50',
    unified: ['pids.max', '50'],
    legacy: ['pids.max', '50'],
  },
] as const;

/** A file with a pod manifest of one app that waits. */
async function podManifest(
  key: string,
  isolators: readonly unknown[],
  exec: string,
  ofApp: readonly unknown[] = [],
): Promise<string> {
  const manifest = {
    acKind: 'PodManifest',
    acVersion: '0.8.11',
    isolators,
    apps: [
      {
        name: 'box',
        image: { name: BOX, id: key },
        app: { exec: ['/bin/sh', '-c', exec], user: '0', group: '0', isolators: ofApp },
      },
    ],
  };
  const file = `/var/tmp/manifest-${Math.random().toString(36).slice(2)}`;
  await host.writeFile(file, JSON.stringify(manifest));
  return file;
}

const WAIT = 'echo ready; exec sleep 1000';
/** dd has a whole block in memory. */
const GREEDY = 'exec dd if=/dev/zero of=/dev/null bs=64M count=1';

/** As a user would, from a shell: a unit that is not delegated is itself stopped when out of memory. */
const fromShell = (args: readonly string[]) =>
  host.run(['sh', '-c', '"$@"; exit $?', 'sh', 'rkt', 'run', '--net=none', ...args]);

async function boxKey(): Promise<string> {
  const images: unknown = JSON.parse(await host.ok(['rkt', 'image', 'list', '--format=json']));
  const [image] = Array.isArray(images) ? images : [];
  return String(image?.id);
}

describe("an app's limits", () => {
  test('are those of its cgroup', async () => {
    const flags = LIMITS.map(({ flag }) => flag);
    const pod = await startPod(host, [BOX, ...flags, '--', WAIT]);
    for (const limit of LIMITS) {
      const [file, value] = unified ? limit.unified : limit.legacy;
      expect(`${file} ${await cgroupFile(pod.uuid, 'box.service', file)}`).toBe(`${file} ${value}`);
    }
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
    await expectClearedByGc(host, pod.uuid);
  });

  test('hold with --detach too', async () => {
    const uuid = (
      await host.ok(['rkt', 'run', '--detach', '--net=none', BOX, '--memory=64Mi', '--', WAIT])
    ).trim();
    const [file, value] = unified ? LIMITS[0].unified : LIMITS[0].legacy;
    expect(await cgroupFile(uuid, 'box.service', file)).toBe(value);
    await host.ok(['rkt', 'stop', uuid]);
    await expectClearedByGc(host, uuid);
  });

  test('of memory kill the app that takes more, which counts as 137', async () => {
    expect((await fromShell([BOX, '--memory=32Mi', '--', GREEDY])).code).toBe(137);
  });

  test('of tasks let its fork fail', async () => {
    const script = 'for n in 1 2 3 4 5 6; do sleep 1000 & done; echo all';
    const { stdout, stderr } = await fromShell([BOX, '--tasks=4', '--', script]);
    expect(stdout).not.toContain('all');
    expect(stderr).toMatch(/fork/);
  });

  test.each([
    ['resource/block-iops', '100', /riops=100 wiops=100/],
    ['resource/block-bandwidth', '1M', /rbps=1000000 wbps=1000000/],
  ])(
    'for block devices (%s) are those of every disk, or refused in version 1',
    async (name, limit, shown) => {
      const isolators = [{ name, value: { default: true, limit } }];
      const file = await podManifest(await boxKey(), isolators, WAIT);
      if (unified) {
        const pod = await startPod(host, [`--pod-manifest=${file}`]);
        expect(await cgroupFile(pod.uuid, 'system.slice', 'io.max')).toMatch(shown);
        await host.ok(['rkt', 'stop', pod.uuid]);
        await pod.running.done;
      } else {
        const { code, stderr } = await fromShell([`--pod-manifest=${file}`]);
        expect(code).toBe(254);
        expect(stderr).toContain(`cannot enforce the isolator ${name} on this host`);
      }
    },
  );

  test('that the unit of rkt has no controller for are refused', async () => {
    // CPU is left to whoever asks for it, memory and tasks are counted for every unit.
    // In version 1 a unit has what one beside it asks for, so this one is alone in its slice.
    const run = ['rkt', 'run', '--net=none', BOX, '--cpu=500m', '--', 'true'];
    const alone = ['systemd-run', '--pipe', '--wait', '--quiet', '--slice=alone.slice'];
    const { code, stderr } = await host.run([...alone, ...run]);
    if (hostKind === 'container') expect(stderr).toMatch(/resource\/cpu .* set Delegate=yes/);
    expect(code).toBe(stderr.includes('Delegate=yes') ? 254 : 0);
  });
});

describe("a pod's limits", () => {
  test('bound all of its apps', async () => {
    const isolators = LIMITS.map(({ isolator }) => isolator);
    const file = await podManifest(await boxKey(), isolators, WAIT);
    const pod = await startPod(host, [`--pod-manifest=${file}`]);
    for (const limit of LIMITS) {
      const [name, value] = unified ? limit.unified : limit.legacy;
      expect(`${name} ${await cgroupFile(pod.uuid, 'system.slice', name)}`).toBe(
        `${name} ${value}`,
      );
    }
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
  });

  test('kill an app that takes more than the pod has', async () => {
    const isolators = [{ name: 'resource/memory', value: { limit: '32Mi' } }];
    const file = await podManifest(await boxKey(), isolators, GREEDY);
    expect((await fromShell([`--pod-manifest=${file}`])).code).toBe(137);
  });
});

test('a fly app has the soft limit of open files that its unit has', async () => {
  const script = 'ulimit -Sn; ulimit -Hn';
  const rkt = ['rkt', 'run', FLY, '--net=host', BOX, '--', script];
  const run = ['systemd-run', '--pipe', '--wait', '--quiet', '-p', 'LimitNOFILE=700:900', ...rkt];
  expect(await host.ok(run)).toBe('700\n900');
});

describe('without systemd on the host', () => {
  /** In a mount namespace where there is none; first out of the unit's cgroup, where asked. */
  const run = (leave: boolean, args: readonly string[]) => {
    const move = leave && unified ? 'echo 0 > /sys/fs/cgroup/cgroup.procs;' : '';
    const script = `mount -t tmpfs tmpfs /run/systemd; ${move} "$@"; exit $?`;
    const rkt = ['rkt', 'run', '--net=none', ...args];
    return host.run(['unshare', '--mount', 'sh', '-c', script, 'sh', ...rkt]);
  };

  test('limits are those of a cgroup that rkt makes', async () => {
    expect((await run(true, [BOX, '--memory=32Mi', '--', GREEDY])).code).toBe(137);
  });

  test('they are refused in a cgroup of version 2 that has other processes', async () => {
    const { code, stderr } = await run(false, [BOX, '--cpu=1', '--', 'true']);
    expect(code).toBe(unified ? 254 : 0);
    if (unified) expect(stderr).toMatch(/the cgroup .* has other processes/);
  });
});

/** Runs an app with these isolators; gives what it prints of itself, or why it was refused. */
async function tell(name: string, value: unknown, script: string): Promise<string> {
  const manifest = await podManifest(await boxKey(), [], script, [{ name, value }]);
  const { stdout, stderr } = await fromShell([`--pod-manifest=${manifest}`]);
  return (stdout || stderr).trim();
}

/** Whether root of the host has all capabilities, and its kernel what Debian's has. */
const isWhole = hostKind === 'vm';

describe('what takes a host that has it', () => {
  test('an oom_score_adj is lowered, or refused', async () => {
    const told = await tell('os/linux/oom-score-adj', -500, 'cat /proc/self/oom_score_adj');
    expect(told).toMatch(isWhole ? /^-500$/ : /^-500$|this process has no CAP_SYS_RESOURCE/);
  });

  test('a hard limit is raised, or refused', async () => {
    const told = await tell('os/linux/rlimits', { nofile: '600000' }, 'ulimit -n');
    expect(told).toMatch(isWhole ? /^600000$/ : /^600000$|this process has no CAP_SYS_RESOURCE/);
  });

  test('a profile of AppArmor is that of the app, or refused', async () => {
    const value = { name: 'unconfined' };
    const told = await tell('os/linux/apparmor-profile', value, 'cat /proc/self/attr/current');
    expect(told).toMatch(isWhole ? /^unconfined$/ : /^unconfined|needs AppArmor/);
  });

  test('a profile of AppArmor that is not loaded is refused', async () => {
    const told = await tell('os/linux/apparmor-profile', { name: 'nobody-has-it' }, 'echo ran');
    expect(told).toMatch(isWhole ? /a profile that is not loaded: "nobody-has-it"/ : /AppArmor/);
  });

  test('a weight for block devices is that of the cgroup, or refused', async () => {
    const told = await tell('os/linux/io-weight', 50, 'echo ran');
    expect(told).toMatch(/^ran$|cannot enforce the isolator os\/linux\/io-weight/);
  });
});

describe.each([
  ['nspawn', '--net=none', [] as string[]],
  ['fly', '--net=host', [FLY]],
])("a %s pod on this host's cgroups", (_, net, flags) => {
  test('runs, is listed, is stopped and collected', async () => {
    const pod = await startPod(host, [...flags, BOX, '--', WAIT], net);
    expect(await state(host, pod.uuid)).toBe('running');
    await host.ok(['rkt', 'stop', pod.uuid]);
    await pod.running.done;
    await expectClearedByGc(host, pod.uuid);
  });
});
