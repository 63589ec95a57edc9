// @vm
import { expect, test } from 'vitest';
import { hostSuite, skip, startHost } from '../../lib/host.ts';
import { importBox, PATIENCE, startPod } from './host-box.ts';
import { BOX } from './image.ts';

const host = await startHost();
importBox(host);

test('a mount that the host makes below a volume is seen in a running pod', async (context) => {
  if (hostSuite === 'trixie')
    skip(context, 'systemd-nspawn 257 cuts the mounts of a pod off from those of the host');
  await host.ok(['mkdir', '-p', '/srv/data/below']);
  // As on every machine; a container's systemd leaves them private.
  await host.exec(['mount', '--make-rshared', '/']);
  const script = 'echo ready; until [ -e /data/below/file ]; do sleep 0.05; done; echo seen';
  const pod = await startPod(host, [
    '--volume=data,kind=host,source=/srv/data',
    BOX,
    '--mount=volume=data,target=/data',
    '--',
    script,
  ]);
  const mount = 'mount -t tmpfs tmpfs /srv/data/below && touch /srv/data/below/file';
  expect((await host.exec(['sh', '-c', mount])).code).toBe(0);
  expect((await pod.running.done).stdout).toMatch(/seen/);
  await host.exec(['umount', '/srv/data/below']);
});

test('what an app sends to /dev/log is in the journal', async () => {
  await host.run(['rkt', 'run', '--net=none', BOX, '--', 'busybox logger -t from-the-app hello']);
  await expect
    .poll(() => host.ok(['journalctl', '-t', 'from-the-app', '-o', 'cat']), { timeout: PATIENCE })
    .toBe('hello');
});
