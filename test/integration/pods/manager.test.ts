import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { hasUnifiedCgroup } from '../../../src/systemd/host.ts';
import { Box, type StartedPod } from './box.ts';

// What a pod's systemd would do for a machine costs the pod's start and, for each watch, its end.

const box = new Box();

describe("the pod's systemd", () => {
  let pod: StartedPod;
  let proc: string;

  beforeAll(async () => {
    pod = box.start('echo ready; exec sleep 1000');
    await pod.running.printed(/ready/);
    await box.ok(['status', '--wait-ready', pod.uuid]);
    const { supervisor } = pod;
    const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8');
    proc = `/proc/${children.trim()}`;
    return async () => {
      await pod.running.kill('SIGTERM');
      await pod.running.done;
    };
  });

  /** The mounts that it sees: device number and type. */
  const mounts = () =>
    readFileSync(`${proc}/mountinfo`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        const [before = '', after = ''] = line.split(' - ');
        return { device: before.split(' ')[2] ?? '', type: after.split(' ')[0] ?? '' };
      });

  test('watches no files but those of its cgroups', () => {
    const cgroups = mounts()
      .filter(({ type }) => type.startsWith('cgroup'))
      .map(({ device }) => {
        const [major = 0, minor = 0] = device.split(':').map(Number);
        return (major * 2 ** 20 + minor).toString(16);
      });
    const watched = readdirSync(`${proc}/fdinfo`)
      .map((fd) => readFileSync(`${proc}/fdinfo/${fd}`, 'utf8'))
      .flatMap((text) =>
        [...text.matchAll(/^inotify .* sdev:(\w+)/gm)].map(([, device]) => device),
      );
    expect(watched.filter((device) => !cgroups.includes(device ?? ''))).toEqual([]);
  });

  test('makes no units of mounts', () => {
    const open = readdirSync(`${proc}/fd`).map((fd) => readlinkSync(`${proc}/fd/${fd}`));
    expect(open.filter((path) => path.endsWith('/mountinfo'))).toEqual([]);
  });

  test('has one cgroup hierarchy, of version 2, where there is one', () => {
    const types = mounts().map(({ type }) => type);
    const found = types.filter((type) => type.startsWith('cgroup'));
    expect(found).toEqual(hasUnifiedCgroup() ? ['cgroup2'] : expect.arrayContaining(['cgroup']));
  });
});
