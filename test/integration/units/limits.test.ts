// @vm: limits of a unit are those of its pod.
import { beforeAll, expect, test } from 'vitest';
import { needs, startHost } from '../../lib/host.ts';
import { importBox } from '../pods/host-box.ts';
import { boxPod, writePod } from './installed.ts';

const host = await startHost();
importBox(host);

// A whole installation takes minutes on the VM: the generator and the program will do.
beforeAll(async () => {
  const generators = '/etc/systemd/system-generators';
  await host.ok(['mkdir', '-p', generators]);
  await host.ok(['cp', '/src/units/rkt-generator', generators]);
  await host.ok(['ln', '-s', '/src/dist/rkt', '/usr/bin/rkt']);
});

test('MemoryMax= is the limit of the cgroup that the pod is in, and set-property changes it', async (context) => {
  needs(context, 'cgroup2');
  const unit = '[Service]\nMemoryMax=64M\nMemorySwapMax=0\n';
  await writePod(host, 'bounded.pod', boxPod('exec sleep 1000', { unit }));
  await host.ok(['systemctl', 'start', 'bounded']);
  const group = await host.ok(['systemctl', 'show', '--value', '-p', 'ControlGroup', 'bounded']);
  const limit = () => host.ok(['cat', `/sys/fs/cgroup${group}/memory.max`]);
  expect(await limit()).toBe(String(64 << 20));
  await host.ok(['systemctl', 'set-property', '--runtime', 'bounded', 'MemoryMax=48M']);
  expect(await limit()).toBe(String(48 << 20));
  await host.ok(['systemctl', 'stop', 'bounded']);
});
