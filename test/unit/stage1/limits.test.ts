import { describe, expect, test } from 'vitest';
import type { Isolator } from '../../../src/appc/index.ts';
import { processLimits, resourceLimits } from '../../../stage1/nspawn/limits.ts';
import { sysctlCommands } from '../../../stage1/nspawn/sysctl.ts';

const settings = (name: string, value: unknown) => resourceLimits([{ name, value }]);

describe('resource isolators as settings of systemd', () => {
  test.each<[string, unknown, string[][]]>([
    ['resource/memory', { limit: '1.5Ki' }, [['MemoryMax', '1536']]],
    [
      'resource/memory',
      { limit: '2Ki', request: '1Ki' },
      [
        ['MemoryMax', '2048'],
        ['MemoryLow', '1024'],
      ],
    ],
    ['resource/memory', { limit: '1Ki', request: '1Ki' }, [['MemoryMax', '1024']]],
    ['resource/cpu', { limit: '500m' }, [['CPUQuota', '50%']]],
    ['resource/cpu', { limit: '5m' }, [['CPUQuota', '1%']]],
    ['resource/cpu', { limit: '1', request: '1' }, [['CPUQuota', '100%']]],
    ['os/linux/cpu-shares', 2, [['CPUWeight', '1']]],
    ['os/linux/cpu-shares', 262_144, [['CPUWeight', '10000']]],
    ['os/linux/io-weight', 50, [['IOWeight', '50']]],
    ['os/linux/tasks', 7, [['TasksMax', '7']]],
  ])('%s %j', (name, value, expected) => {
    expect(settings(name, value)).toEqual(expected);
  });

  test('a request for cores that is not the limit is a share of them', () => {
    expect(settings('resource/cpu', { limit: '2', request: '500m' })).toEqual([
      ['CPUQuota', '200%'],
      ['CPUWeight', '50'],
    ]);
  });

  test('shares count more than a request', () => {
    const isolators: Isolator[] = [
      { name: 'resource/cpu', value: { request: '2' } },
      { name: 'os/linux/cpu-shares', value: 1024 },
    ];
    expect(resourceLimits(isolators)).toEqual([['CPUWeight', '100']]);
  });
});

test('limits of each process as settings of systemd', () => {
  const value = { nofile: '10:unlimited', core: '0' };
  expect(processLimits([{ name: 'os/linux/rlimits', value }])).toEqual([
    ['LimitNOFILE', '10:infinity'],
    ['LimitCORE', '0:0'],
  ]);
});

describe('kernel parameters', () => {
  const own = { network: true, ipc: true, users: false };
  const commands = (name: string, value: string) =>
    sysctlCommands([{ name: 'os/unix/sysctl', value: { [name]: value } }], own)[1];

  test.each([
    ['net.ipv4.ip_forward', 'net/ipv4/ip_forward'],
    ['net/ipv4/conf/eth0.1/forwarding', 'net/ipv4/conf/eth0.1/forwarding'],
    ['net.ipv4.conf.eth0/1.forwarding', 'net/ipv4/conf/eth0.1/forwarding'],
  ])('%s is %s', (name, path) => {
    expect(commands(name, '1')).toContain(` > /rkt/proc/sys/${path} `);
  });

  test('have values that no shell looks into', () => {
    expect(commands('net.x', "$(id)'; id")).toContain(`printf '%s\\n' '$(id)'\\''; id' >`);
  });

  test.each(['vm.swappiness', 'kernel.hostname', 'net/../vm/x', 'net.*', 'net'])(
    '%s is refused',
    (name) => {
      expect(() => commands(name, '1')).toThrow(/cannot set the kernel parameter/);
    },
  );
});
