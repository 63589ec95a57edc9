import { readdirSync, statSync } from 'node:fs';
import { errnoOf } from '../os/error.ts';
import { Stage1Error } from './error.ts';
import { podPid, supervisorPid } from './pod-files.ts';

/**
 * The entry point `stop` of our own flavours: SIGTERM to what supervises the pod, which ends it in
 * order, or with `force` SIGKILL to the pod's first process and to the supervisor.
 */
export function stop(podFolder: string, force: boolean): void {
  const supervisor = supervisorPid(podFolder);
  if (supervisor === undefined || !holdsLock(supervisor, podFolder))
    throw new Stage1Error(
      'not-started',
      'cannot stop the pod: it is starting, or another command works on it; try again',
    );
  if (force) {
    const inner = podPid(podFolder);
    if (inner !== undefined && inner !== supervisor) signal(inner, 'SIGKILL');
  }
  signal(supervisor, force ? 'SIGKILL' : 'SIGTERM');
}

/** Whether a process has the pod's folder open: the one that a pid stood for may be gone. */
function holdsLock(pid: number, podFolder: string): boolean {
  const { dev, ino } = statSync(podFolder);
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const stats = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false });
      return stats?.dev === dev && stats.ino === ino;
    });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
