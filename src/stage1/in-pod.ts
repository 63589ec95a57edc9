import { spawnSync } from 'node:child_process';
import { namespaceOf } from './enter-target.ts';

/**
 * Asks the systemd that is PID 1 of a pod for something: systemctl(1), in all namespaces of the pod,
 * since systemd only listens to a root that it knows.
 *
 * An app that may trace others can open the program of whatever process it sees. So nothing becomes
 * visible to apps, by joining their process namespace, before it runs a program of the pod's own
 * /usr, which is read-only there.
 *
 * @param init the pod's PID 1, as the host numbers it
 * @param patience for how many milliseconds it waits; the status is `TIMED_OUT` after that
 */
export function systemctlInPod(
  init: number,
  args: readonly string[],
  patience?: number,
): { status: number | null; stdout: string; stderr: string } {
  const theirs = namespaceOf(`/proc/${init}`, 'user');
  const argv = [
    `--target=${init}`,
    ...['--mount', '--uts', '--ipc', '--net', '--cgroup', '--'],
    // By file: a --target=1 of util-linux 2.41 is the pid 1 that it still sees, the host's.
    ...['/usr/bin/nsenter', '--pid=/proc/1/ns/pid'],
    ...(theirs === namespaceOf(undefined, 'user') ? ['--'] : ['--user=/proc/1/ns/user', '--']),
    ...(patience === undefined ? [] : ['/usr/bin/timeout', timeoutSeconds(patience)]),
    ...['/usr/bin/systemctl', '--no-ask-password', ...args],
  ];
  const { status, stdout, stderr } = spawnSync('nsenter', argv, {
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  return { status, stdout: stdout?.trim() ?? '', stderr: stderr?.trim() ?? '' };
}

/** What timeout(1) ends with when the time is over. */
export const TIMED_OUT = 124;

/** For timeout(1) 0 is for ever. */
function timeoutSeconds(milliseconds: number): string {
  return (Math.max(milliseconds, 1) / 1000).toFixed(3);
}
