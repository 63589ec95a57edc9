import { readdirSync, readFileSync } from 'node:fs';
import {
  bytes,
  type Isolator,
  isolatorValue,
  milliCores,
  parseQuantity,
  parseRlimit,
} from '../../src/appc/index.ts';
import type { Setting } from './unit-text.ts';

/** Resource isolators as settings of systemd.resource-control(5): an app's, or those of all apps. */
export function resourceLimits(isolators: readonly Isolator[]): Setting[] {
  const memory = isolatorValue(isolators, 'resource/memory');
  const cpu = isolatorValue(isolators, 'resource/cpu');
  const shares =
    isolatorValue(isolators, 'os/linux/cpu-shares') ?? requestedShares(cpu?.request, cpu?.limit);
  const bandwidth = isolatorValue(isolators, 'resource/block-bandwidth');
  const iops = isolatorValue(isolators, 'resource/block-iops');
  return [
    ...given('MemoryMax', memory?.limit, amount),
    // No limit, so that it may go unheard where cgroups cannot do it: version 1.
    ...given('MemoryLow', memory?.request === memory?.limit ? undefined : memory?.request, amount),
    ...given('CPUQuota', cpu?.limit, cpuQuota),
    ...given('CPUWeight', shares, weight),
    ...(bandwidth ? deviceLimits(['IOReadBandwidthMax', 'IOWriteBandwidthMax'], bandwidth) : []),
    ...(iops ? deviceLimits(['IOReadIOPSMax', 'IOWriteIOPSMax'], iops) : []),
    ...given('IOWeight', isolatorValue(isolators, 'os/linux/io-weight')),
    ...given('TasksMax', isolatorValue(isolators, 'os/linux/tasks')),
  ];
}

/** What of an app's isolators holds for each of its processes: systemd.exec(5). */
export function processLimits(isolators: readonly Isolator[]): Setting[] {
  const rlimits = isolatorValue(isolators, 'os/linux/rlimits') ?? {};
  const word = (value: number) => (Number.isFinite(value) ? String(value) : 'infinity');
  return [
    ...given('OOMScoreAdjust', isolatorValue(isolators, 'os/linux/oom-score-adj')),
    ...Object.entries(rlimits).map(([name, text]): Setting => {
      const { soft, hard } = parseRlimit(text);
      return [`Limit${name.toUpperCase()}`, `${word(soft)}:${word(hard)}`];
    }),
  ];
}

function given<Value>(
  name: string,
  value: Value | undefined,
  text: (value: Value) => unknown = String,
): Setting[] {
  return value === undefined ? [] : [[name, String(text(value))]];
}

function amount(quantity: string): bigint {
  return bytes(parseQuantity(quantity));
}

/** Percent of one core, at least one: less than 10 milli-cores must not become no limit at all. */
function cpuQuota(limit: string): string {
  const percent = milliCores(parseQuantity(limit)) / 10n;
  return `${percent > 0n ? percent : 1n}%`;
}

/** Shares that go with a request for cores, 1024 for each, where it is not just the limit again. */
function requestedShares(
  request: string | undefined,
  limit: string | undefined,
): number | undefined {
  if (request === undefined || request === limit) return undefined;
  return (Number(milliCores(parseQuantity(request))) * 1024) / 1000;
}

/** Shares (2 to 262144, 1024 by default) to weight (1 to 10000, 100 by default): cgroup version 2. */
function weight(shares: number): number {
  return Math.max(1, Math.min(10000, Math.round((shares * 100) / 1024)));
}

/** "This limit applies to all block devices by default" (spec: ace.md, "resource/block-bandwidth"). */
function deviceLimits(names: readonly string[], { limit = '0' }: { limit?: string }): Setting[] {
  return blockDevices().flatMap((device) =>
    names.map((name): Setting => [name, `/dev/block/${device} ${amount(limit)}`]),
  );
}

/** Whole disks by number (`254:0`), those in memory and loops onto others left out. */
function blockDevices(): string[] {
  return readdirSync('/sys/block')
    .filter((name) => !/^(loop|ram|zram)/.test(name))
    .map((name) => readFileSync(`/sys/block/${name}/dev`, 'utf8').trim());
}
