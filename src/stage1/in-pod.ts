import { spawnSync } from 'node:child_process';

/**
 * Asks the systemd that is PID 1 of a pod for something: systemctl(1), from the host's /usr that the
 * pod has, in all namespaces of the pod, since systemd only listens to a root that it knows.
 *
 * @param init the pod's PID 1, as the host numbers it
 */
export function systemctlInPod(
  init: number,
  args: readonly string[],
): { status: number | null; stderr: string } {
  const argv = [
    `--target=${init}`,
    '--all',
    '--',
    '/usr/bin/systemctl',
    '--no-ask-password',
    ...args,
  ];
  const { status, stderr } = spawnSync('nsenter', argv, {
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  return { status, stderr: stderr?.trim() ?? '' };
}
