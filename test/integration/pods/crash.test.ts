import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { mountsBelow } from '../../lib/local.ts';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const MOMENTS = 20;

/** Kills a command at a moment of its life, and takes the time that a whole life has. */
function killings(title: string, args: readonly string[]): void {
  describe(`${title} killed at any moment`, () => {
    const box = new Box();

    test('leaves what list understands and one gc clears', { timeout: 600_000 }, async () => {
      const begin = Date.now();
      await box.local.rkt(args);
      const life = Date.now() - begin;
      for (let moment = 0; moment < MOMENTS; moment++) {
        const running = box.local.start(args);
        await delay((life * (moment + Math.random())) / MOMENTS);
        await running.kill('SIGKILL');
        await running.done;
        const { code, stderr } = await box.local.rkt(['list']);
        expect(code).toBe(0);
        expect(stderr).toBe('');
      }
      const list = () => box.ok(['list', '--no-legend']);
      await expect.poll(list).not.toContain('\trunning\t');
      const gc = ['gc', '--grace-period=0s', '--expire-prepared=0s'];
      const { code, stderr } = await box.local.rkt(gc);
      expect(code).toBe(0);
      expect(stderr).not.toMatch(/cannot|ENO/);
      const pods = join(box.local.dir, 'pods');
      const left = readdirSync(pods).flatMap((group) =>
        readdirSync(join(pods, group)).map((uuid) => `${group}/${uuid}`),
      );
      expect(left).toEqual([]);
      expect(mountsBelow(box.local.scratch)).toEqual([]);
    });
  });
}

killings('rkt run', ['run', '--net=none', BOX, '--', 'sleep 0.2']);
killings('rkt run of a full copy', ['run', '--net=none', '--no-overlay', BOX, '--', 'true']);
killings('rkt prepare', ['prepare', '--quiet', BOX]);

describe('a pod whose', () => {
  const box = new Box();

  /** The process below the pod's supervisor that has this name. */
  function inPod(supervisor: number, name: string): number | undefined {
    const parents = new Map<number, { parent: number; name: string }>();
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      const stat = readIfThere(`/proc/${pid}/stat`);
      const [, comm = '', parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(stat) ?? [];
      parents.set(Number(pid), { parent: Number(parent), name: comm });
    }
    const isBelow = (pid: number): boolean => {
      const parent = parents.get(pid)?.parent ?? 0;
      return parent === supervisor || (parent > 1 && isBelow(parent));
    };
    const found = [...parents].find(([pid, { name: own }]) => own === name && isBelow(pid));
    return found?.[0];
  }

  /** The process once it is there: a shell becomes its last command a moment later. */
  async function found(look: () => number | undefined): Promise<number> {
    await expect.poll(look).toBeDefined();
    return look() ?? Number.NaN;
  }

  test.each([
    ['supervisor', (supervisor: number) => supervisor],
    ['first process', (supervisor: number) => inPod(supervisor, 'systemd') ?? Number.NaN],
  ])(
    '%s is killed has ended with all its processes, without results, and gc clears it',
    async (_, victim) => {
      const pod = box.start('echo ready; exec sleep 1000');
      await pod.running.printed(/ready/);
      const app = await found(() => inPod(pod.supervisor, 'sleep'));
      process.kill(victim(pod.supervisor), 'SIGKILL');
      await expect.poll(() => box.state(pod.uuid)).toBe('exited');
      expect(isAlive(app)).toBe(false);
      expect((await pod.running.done).code).not.toBe(0);
      expect(await box.ok(['status', pod.uuid])).not.toContain('app-');
      const { uuid } = pod;
      await box.ok(['gc', '--grace-period=0s']);
      expect(
        ['run', 'exited-garbage', 'garbage'].flatMap((group) => box.group(group)),
      ).not.toContain(uuid);
      expect(mountsBelow(box.local.scratch).filter((path) => path.includes(uuid))).toEqual([]);
      expect(spawnSync('find', ['/sys/fs/cgroup', '-name', `*${uuid}*`]).stdout.toString()).toBe(
        '',
      );
    },
  );

  test('app is killed ends with 137', async () => {
    const pod = box.start('echo ready; exec sleep 1000');
    await pod.running.printed(/ready/);
    process.kill(await found(() => inPod(pod.supervisor, 'sleep')), 'SIGKILL');
    expect((await pod.running.done).code).toBe(137);
    expect(pod.status()).toBe('137\n');
  });
});

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
