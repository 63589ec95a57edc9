import { describe, expect, test } from 'vitest';
import { Box } from './box.ts';

const box = new Box();
const run = (flag: string, script: string, more: readonly string[] = []) =>
  box.run(script, { app: [`--seccomp=${flag}`, '--caps-retain=CAP_SYS_ADMIN,CAP_CHOWN', ...more] });

/** Each system call of busybox is there under one name only. */
const TRY = 'mkdir /tmp/x; echo $?; mount -t tmpfs t /tmp 2>&1; echo end';

describe.each([
  'mode=retain,@rkt/default-whitelist',
  'mode=retain,@docker/default-whitelist',
  'mode=remove,@appc.io/empty',
  'mode=remove,@rkt/default-blacklist',
  'mode=remove,@docker/default-blacklist',
  'mode=remove,@systemd/mount',
])('--seccomp=%s', (flag) => {
  test('allows what is common and lets mount fail with EPERM', async () => {
    const { code, stdout } = await run(flag, TRY);
    expect(stdout).toMatch(/^0\n.*(not permitted|permission denied).*\nend\n$/i);
    expect(code).toBe(0);
  });
});

test.each([
  'mode=retain,@appc.io/all',
  'mode=remove,@systemd/clock',
  'mode=remove,@systemd/raw-io',
  'mode=remove,@systemd/obsolete',
  'mode=retain,@rkt/default-whitelist,@systemd/mount',
])('--seccomp=%s lets mount work', async (flag) => {
  expect((await run(flag, TRY)).stdout).toBe('0\nend\n');
});

test.each([[[]], [['--user=1000', '--group=1000']]])(
  'what is retained beside the sets of systemd is allowed, the rest is EPERM %s',
  async (user) => {
    const calls = 'read,write,open,openat,close,ioctl,fcntl,fstat,newfstatat,stat,lseek,dup2,prctl';
    const sets = '@systemd/default-whitelist,@systemd/process';
    const script = 'echo works; mkdir /tmp/x 2>&1; echo end';
    const { stdout } = await run(`mode=retain,${sets},${calls}`, script, user);
    expect(stdout).toMatch(/^works\n.*not permitted\nend\n$/i);
  },
);

test('an errno counts for all that is not retained', async () => {
  const flag = 'mode=retain,errno=EXDEV,@rkt/default-whitelist';
  expect((await run(flag, TRY)).stdout).toMatch(/cross-device/i);
});

test.each([
  ['mode=retain,@systemd/everything', 'unknown seccomp set'],
  ['mode=allow,read', 'mode'],
])('--seccomp=%s is refused', async (flag, why) => {
  const { code, stderr } = await run(flag, 'true');
  expect(code).toBe(254);
  expect(stderr).toContain(why);
});
