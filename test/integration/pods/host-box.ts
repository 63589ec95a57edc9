import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect } from 'vitest';
import { type Host, hostKind } from '../../lib/host.ts';
import type { Running } from '../../lib/running.ts';
import { type ImageSpec, packImage } from './image.ts';

/** How long a pod may take to get where a test wants it, in milliseconds. */
export const PATIENCE = hostKind === 'vm' ? 120_000 : 60_000;

export const FLY = '--stage1-name=coreos.com/rkt/stage1-fly';

/** Puts the box, and further images, into the store of a host. */
export function importBox(host: Host, ...images: readonly ImageSpec[]): void {
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rkt-images-'));
    const names = ['/var/tmp/0.aci'];
    for (const [index, spec] of [{}, ...images].entries()) {
      names[index] = `/var/tmp/${index}.aci`;
      await host.writeFile(names[index] ?? '', readFileSync(packImage(folder, spec)));
    }
    rmSync(folder, { recursive: true });
    await host.ok(['rkt', '--insecure-options=image', 'image', 'import', ...names]);
  });
}

/** A pod started in a host, by its UUID. */
export interface HostPod {
  readonly uuid: string;
  readonly machine: string;
  readonly running: Running;
}

let count = 0;

/** Starts `rkt run --net=none FLAGS… ARGS…` from a shell, as a user would, and waits for "ready". */
export async function startPod(
  host: Host,
  args: readonly string[],
  net = '--net=none',
): Promise<HostPod> {
  const file = `/var/tmp/uuid-${count++}`;
  const rkt = ['rkt', 'run', net, `--uuid-file-save=${file}`, ...args];
  // Two commands, so that the shell stays and rkt is not the unit's main process.
  const running = host.start(['sh', '-c', '"$@"; exit $?', 'sh', ...rkt]);
  await running.printed(/ready/);
  const uuid = (await host.readFile(file)).toString();
  return { uuid, machine: `rkt-${uuid}`, running };
}

/** Everything in the host that bears a pod's UUID: mounts, cgroups, units, machines, files. */
export async function traces(host: Host, uuid: string): Promise<string> {
  const script = `
    grep -h "$1" /proc/self/mountinfo
    find /sys/fs/cgroup /run /var/lib/rkt -name "*$1*" 2>/dev/null
    systemctl list-units --all --plain --no-legend "*$1*"
    machinectl list --no-legend | grep "$1"
    # One process looks into all, for on the VM each costs a tenth of a second; it does not find itself.
    grep -ha "[n]spawn.*$1" /proc/[0-9]*/cmdline 2>/dev/null
    true`;
  return (await host.exec(['sh', '-c', script, 'sh', uuid])).stdout;
}

/** One gc clears what is left of a pod, all of it. */
export async function expectClearedByGc(host: Host, uuid: string): Promise<void> {
  await expect.poll(() => state(host, uuid), { timeout: PATIENCE }).toBe('exited');
  await host.ok(['rkt', 'gc', '--grace-period=0s']);
  await expect.poll(() => traces(host, uuid), { timeout: PATIENCE }).toBe('');
}

/** The state that `rkt status` and `rkt list` agree on. */
export async function state(host: Host, uuid: string): Promise<string> {
  const script = 'rkt status "$1"; rkt list --format=json';
  const { stdout } = await host.exec(['sh', '-c', script, 'sh', uuid]);
  const told = /^state=(.*)$/m.exec(stdout)?.[1] ?? stdout;
  const listed: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? 'null');
  expect(listed).toContainEqual(expect.objectContaining({ name: uuid, state: told }));
  return told;
}
