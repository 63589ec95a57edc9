import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemctlInPod } from '../../../src/stage1/in-pod.ts';

test('what joins the processes of a pod is a program of the pod’s /usr, unseen until then', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rkt-in-pod-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const notes = join(folder, 'notes');
  // Stands for a program of the pod's: notes its name, and whether the pod's /proc knows its process.
  const script = (name: string, then: string) =>
    writeFileSync(
      join(folder, name),
      `#!/bin/sh\n[ -e /proc/self ] && seen=seen || seen=unseen\necho ${name} $seen >> ${notes}\n${then}\n`,
      { mode: 0o755 },
    );
  script('nsenter', `exec ${folder}/real-nsenter "$@"`);
  script('systemctl', `echo "$@" >> ${notes}`);
  const inside = `cp /usr/bin/nsenter ${folder}/real-nsenter
    for name in nsenter systemctl; do mount --bind ${folder}/$name /usr/bin/$name || exit; done
    echo ready; exec sleep 1000`;
  const pod = spawn(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', inside],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  onTestFinished(async () => {
    const ended = once(pod, 'exit');
    pod.kill('SIGKILL');
    await ended;
  });
  await once(pod.stdout, 'data');
  const init = readFileSync(`/proc/${pod.pid}/task/${pod.pid}/children`, 'utf8');
  expect(systemctlInPod(Number(init), ['start', 'x'])).toEqual({
    status: 0,
    stdout: '',
    stderr: '',
  });
  expect(readFileSync(notes, 'utf8').split('\n')).toEqual([
    'nsenter unseen',
    'systemctl seen',
    '--no-ask-password start x',
    '',
  ]);
});
