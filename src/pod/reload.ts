import { readFileSync } from 'node:fs';
import { findApp, holdProcess, statusField } from '../stage1/enter-target.ts';
import { Stage1Error } from '../stage1/error.ts';
import { podPid, readPodManifest } from '../stage1/pod-files.ts';
import { PodError } from './error.ts';
import { type Pod, refreshPod } from './pods.ts';

const SIGHUP = 1;

/**
 * Sends SIGHUP to the main process of each running app of a pod. One that does not handle the signal
 * would end by it, and is left alone.
 *
 * @returns the names of the apps that were told
 * @throws PodError `wrong-state` for a pod that does not run
 */
export function reloadPod(dataDir: string, pod: Pod): string[] {
  try {
    return reloadRunning(pod);
  } catch (error) {
    // What the kernel tells of its processes goes with them.
    if (refreshPod(dataDir, pod.uuid)?.state === 'running') throw error;
    throw notRunning(pod);
  }
}

function notRunning({ uuid }: Pod): PodError {
  return new PodError('wrong-state', `pod "${uuid}" is not running`);
}

function reloadRunning(pod: Pod): string[] {
  const pid = podPid(pod.folder);
  if (pod.state !== 'running' || pid === undefined) throw notRunning(pod);
  if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'systemd')
    return handles(holdProcess(pid)) ? told(pid, readPodManifest(pod.folder).apps[0]?.name) : [];
  const first = holdProcess(pid);
  return readPodManifest(pod.folder).apps.flatMap(({ name }) => {
    try {
      const { main } = findApp(pod.folder, first, name);
      return handles(main) ? told(main.pid, name) : [];
    } catch (error) {
      // An app that has ended has nothing to read.
      if (error instanceof Stage1Error && error.code === 'not-started') return [];
      throw error;
    }
  });
}

/** The signals that a process catches: proc(5), SigCgt. */
function handles(process: ReturnType<typeof holdProcess>): boolean {
  const caught = BigInt(`0x${statusField(process, 'SigCgt')}`);
  return (caught & (1n << BigInt(SIGHUP - 1))) !== 0n;
}

function told(pid: number, name = ''): string[] {
  process.kill(pid, 'SIGHUP');
  return [name];
}
