import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readIfExists } from '../../../src/os/files.ts';
import { Box } from './box.ts';

const box = new Box();

/** The process that copies a pod's output. */
function relayOf(uuid: string): string | undefined {
  return readdirSync('/proc').find(
    (pid) =>
      /^\d+$/.test(pid) && readIfExists(`/proc/${pid}/cmdline`)?.startsWith(`pod-relay ${uuid}`),
  );
}

test('an idle pod keeps no pages in memory that only its start needed', async () => {
  const pod = box.start('echo ready; sleep 1000');
  await pod.running.printed(/ready/);
  const relay = relayOf(pod.uuid);
  // The first part of Perl's executable is for the dynamic linker alone.
  const rss = () =>
    /\/perl\n(?:.*\n)*?Rss: +(\d+) kB/.exec(readFileSync(`/proc/${relay}/smaps`, 'utf8'));
  await expect.poll(() => rss()?.[1]).toBe('0');
  await box.ok(['stop', pod.uuid]);
});
