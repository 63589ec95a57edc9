import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Box } from './box.ts';

const box = new Box();

/** Whether a process waits for something to change in a folder: proc(5), fdinfo of inotify. */
function isWatching(argument: string): boolean {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .some((pid) => {
      try {
        const isIt = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`status\0${argument}\0`);
        const fds = isIt ? readdirSync(`/proc/${pid}/fdinfo`) : [];
        return fds.some((fd) =>
          readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8').includes('inotify wd:'),
        );
      } catch {
        return false;
      }
    });
}

describe.each(['--wait=1m', '--wait-ready=1m'])('rkt status %s of a prepared pod', (flag) => {
  test.each([
    ['is removed', (uuid: string) => ['rm', uuid]],
    ['is collected', () => ['gc', '--expire-prepared=0s']],
  ])('that %s fails, and does not wait any longer', async (_, argv) => {
    const uuid = await box.prepare();
    const waiting = box.local.rkt(['status', flag, uuid]);
    await expect.poll(() => isWatching(flag)).toBe(true);
    await box.ok(argv(uuid));
    const { code, stderr } = await waiting;
    expect(code).toBe(254);
    expect(stderr).toMatch(/removed meanwhile|is gone|is deleting|is garbage/);
  });

  test('fails after its time', async () => {
    const uuid = await box.prepare();
    const short = flag.replace('1m', '100ms');
    const { code, stderr } = await box.local.rkt(['status', short, uuid]);
    expect(code).toBe(254);
    expect(stderr).toMatch(/error waiting for pod (to finish|readiness): .* is still prepared/);
  });
});

test('rkt status --wait-ready of a fly pod comes back once its app runs', async () => {
  const pod = box.start('echo ready; exec sleep 1000', {
    pod: ['--net=host', '--stage1-name=coreos.com/rkt/stage1-fly'],
  });
  await pod.running.printed(/ready/);
  expect(await box.ok(['status', '--wait-ready=60s', pod.uuid])).toContain('state=running');
  await box.ok(['stop', pod.uuid]);
});
