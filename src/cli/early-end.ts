import { spawnSync } from 'node:child_process';
import { podInfo } from '../pod/info.ts';
import { readPod, refreshPod } from '../pod/pods.ts';
import { MESSAGE_IDS } from '../systemd/journal.ts';

/** What became of a pod whose service has failed before it was ready, in one line. */
export function earlyEnd(dataDir: string, uuid: string, unit: string): string {
  const pod = refreshPod(dataDir, uuid);
  const apps = (pod && readPod(dataDir, pod, podInfo)?.apps) ?? [];
  const failed = apps.filter(({ exitCode = 0 }) => exitCode !== 0);
  const see = `see "journalctl -u ${unit}"`;
  if (failed.length === 0) return reasonOf(uuid) ?? `pod ${uuid} ended before it was ready: ${see}`;
  const exits = failed.map(({ name, exitCode, exitSignal }) =>
    exitSignal === undefined
      ? `app "${name}" ended with ${exitCode}`
      : `app "${name}" was ended by signal ${exitSignal}`,
  );
  return `pod ${uuid} ended before it was ready: ${exits.join(', ')}: ${see}`;
}

/** Why the pod could not be started, as its own process has told the journal. */
function reasonOf(uuid: string): string | undefined {
  // What it wrote last is in the journal's socket, perhaps, and not yet in its files.
  spawnSync('journalctl', ['--sync'], { stdio: 'ignore' });
  const matches = [`RKT_POD=${uuid}`, `MESSAGE_ID=${MESSAGE_IDS['pod-failed']}`];
  const { stdout, status } = spawnSync(
    'journalctl',
    ['--quiet', '--output=cat', '--lines=1', ...matches],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return status === 0 ? stdout.trim() || undefined : undefined;
}
