import {
  bytes,
  type Isolator,
  isolatorValue,
  milliCores,
  parseQuantity,
} from '../../src/appc/index.ts';

/** Resource isolators as settings of systemd.resource-control(5) and systemd.exec(5). */
export function resourceLimits(isolators: readonly Isolator[]): [string, string][] {
  const memory = isolatorValue(isolators, 'resource/memory')?.limit;
  const cpu = isolatorValue(isolators, 'resource/cpu')?.limit;
  const shares = isolatorValue(isolators, 'os/linux/cpu-shares');
  const oom = isolatorValue(isolators, 'os/linux/oom-score-adj');
  return [
    ...(memory === undefined ? [] : [setting('MemoryMax', bytes(parseQuantity(memory)))]),
    ...(cpu === undefined ? [] : [setting('CPUQuota', cpuQuota(cpu))]),
    ...(shares === undefined ? [] : [setting('CPUWeight', weight(shares))]),
    ...(oom === undefined ? [] : [setting('OOMScoreAdjust', oom)]),
  ];
}

function setting(name: string, value: bigint | number | string): [string, string] {
  return [name, String(value)];
}

/** Percent of one core, at least one: less than 10 milli-cores must not become no limit at all. */
function cpuQuota(limit: string): string {
  const percent = milliCores(parseQuantity(limit)) / 10n;
  return `${percent > 0n ? percent : 1n}%`;
}

/** Shares (2 to 262144, 1024 by default) to weight (1 to 10000, 100 by default): cgroup version 2. */
function weight(shares: number): number {
  return Math.max(1, Math.min(10000, Math.round((shares * 100) / 1024)));
}
